/** The EHR vectors of the images that pretraining uses. */
import { type EhrSpec, encodeEhr } from '#libs/experiments'
import { type Pack, SpecError } from '#libs/training'
import { filled } from '../imputation/fills.ts'
import { fitPackFills } from '../imputation/pack-imputation.ts'
import { ehrRecord, isComplete } from './ehr-table.ts'

export interface EhrImages {
  /** Images that stay: all, or under `drop` those without a gap. */
  readonly images: Int32Array
  /** [images.length] vectors of one width. */
  readonly vectors: readonly Float32Array[]
}

/** @throws SpecError where a variable is missing in every record that the imputer may see, or where `drop` leaves no image. */
export function ehrImages(pack: Pack, images: Int32Array, spec: EhrSpec): EhrImages {
  const record = (index: number) => ehrRecord(pack.columns, index)
  switch (spec.impute) {
    case 'unknown-column':
      return { images, vectors: Array.from(images, (index) => encodeEhr(spec, record(index))) }
    case 'drop': {
      const whole = images.filter((index) => isComplete(record(index), spec.variables))
      if (whole.length === 0) throw new SpecError('no image has all EHR variables', { field: 'ehr.impute' })
      return { images: whole, vectors: Array.from(whole, (index) => encodeEhr(spec, record(index))) }
    }
    case 'mode-by-other': {
      const whole = imputed(pack, images, spec)
      return { images, vectors: whole.map((one) => encodeEhr(spec, one)) }
    }
  }
}

function imputed(pack: Pack, images: Int32Array, spec: EhrSpec) {
  const fills = fitPackFills(pack.columns, spec.imputeFitOn)
  return Array.from(images, (index) => {
    const whole = filled(ehrRecord(pack.columns, index), spec.variables, fills)
    const gap = spec.variables.find((variable) => whole[variable] === null)
    if (gap) throw new SpecError(`the data set tells no ${gap}, so gaps cannot be filled`, { field: 'ehr.variables' })
    return whole
  })
}
