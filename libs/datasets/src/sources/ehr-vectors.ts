/** The EHR vectors of the images that pretraining uses. */
import { type EhrSpec, encodeEhr, SPLITS } from '#libs/experiments'
import { type Pack, SpecError } from '#libs/training'
import { ehrRecord, fitImputer, isComplete } from './ehr-table.ts'

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
      const filled = imputed(pack, images, spec)
      return { images, vectors: filled.map((one) => encodeEhr(spec, one)) }
    }
  }
}

function imputed(pack: Pack, images: Int32Array, spec: EhrSpec) {
  const train = SPLITS.indexOf('train')
  const all = Array.from(pack.columns.split.keys())
  const fitted = spec.imputeFitOn === 'all' ? all : all.filter((index) => pack.columns.split[index] === train)
  const impute = fitImputer(
    fitted.map((index) => ehrRecord(pack.columns, index)),
    spec.variables,
  )
  return Array.from(images, (index) => {
    const filled = impute(ehrRecord(pack.columns, index))
    const gap = spec.variables.find((variable) => filled[variable] === null)
    if (gap) throw new SpecError(`the data set tells no ${gap}, so gaps cannot be filled`, { field: 'ehr.variables' })
    return filled
  })
}
