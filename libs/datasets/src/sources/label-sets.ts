/** Labels of an evaluation: the data set's findings, or a sanity set that any reader can check by eye. */
import { EHR_CATEGORIES, type LabelSet } from '#libs/experiments'
import type { Pack, PackColumns } from '#libs/training'
import { MISSING } from '../record.ts'

const AGE_EDGE_YEARS = 60

export interface LabelMatrix {
  readonly names: readonly string[]
  /** Values of one image, [names.length]: 0, 1 or MISSING. */
  rowOf(index: number): Uint8Array
}

function oneLabel(name: string, codeAt: (index: number) => number): LabelMatrix {
  return { names: [name], rowOf: (index) => Uint8Array.of(codeAt(index)) }
}

const isCode = (codes: Uint8Array, code: number) => (index: number) =>
  codes[index] === MISSING ? MISSING : Number(codes[index] === code)

function isOld({ age }: PackColumns): (index: number) => number {
  return (index) => (Number.isNaN(age[index]!) ? MISSING : Number(age[index]! >= AGE_EDGE_YEARS))
}

/** `view`: AP against the others; `sex`: male; `age60`: 60 years or older. */
export function labelMatrix(pack: Pack, set: LabelSet): LabelMatrix {
  const { columns, labelNames } = pack
  switch (set) {
    case 'findings': {
      const width = labelNames.length
      return { names: labelNames, rowOf: (index) => columns.labels.subarray(index * width, (index + 1) * width) }
    }
    case 'view':
      return oneLabel('AP', isCode(columns.view, EHR_CATEGORIES.view.indexOf('AP')))
    case 'sex':
      return oneLabel('male', isCode(columns.sex, EHR_CATEGORIES.sex.indexOf('male')))
    case 'age60':
      return oneLabel('age>=60', isOld(columns))
  }
}
