/** How many images a data set has, before anybody has counted. */
import type { PrepareSpec } from '../spec.ts'
import type { DatasetKind, Split } from '../vocabulary.ts'

export type DatasetSize = Readonly<Record<Split, number>>

/** MIMIC-CXR-JPG 2.0.0 in its own split; the rows that the EHR rules leave out (909 of 377,110) are not taken off. */
const MIMIC: DatasetSize = { train: 368_960, validation: 2_991, test: 5_159 }
/** NIH ChestX-ray14: images of train_val_list and test_list, and those among them that have a finding. */
const NIH = { all: { trainVal: 86_524, test: 25_596 }, abnormal: { trainVal: 36_024, test: 15_735 } } as const
/** CheXpert; 56 of its test images have no positive label. */
const CHEXPERT: DatasetSize = { train: 223_414, validation: 234, test: 668 }
const CHEXPERT_ALL_ZERO = 56

/** The published data set of this kind, in the official split and with the options of `spec` that change its size. */
export function publishedSize(kind: DatasetKind, spec: PrepareSpec): DatasetSize {
  switch (kind) {
    case 'mimic-cxr':
      return MIMIC
    case 'nih14': {
      const { trainVal, test } = spec.includeNoFinding ? NIH.all : NIH.abnormal
      const validation = Math.round(trainVal * spec.validationFraction)
      return { train: trainVal - validation, validation, test }
    }
    case 'chexpert':
      return spec.dropAllZero ? { ...CHEXPERT, test: CHEXPERT.test - CHEXPERT_ALL_ZERO } : CHEXPERT
  }
}
