/** The closed word lists of the service. One `as const` list gives the runtime set and the type. */

export const RUN_KINDS = ['prepare', 'pretrain', 'evaluate'] as const
export type RunKind = (typeof RUN_KINDS)[number]

/**
 * `none` is random initialisation: the floor that every comparison needs, a run of its own. `imported` takes the weights of a
 * file that was brought into the lab.
 */
export const METHODS = ['msn', 'dino', 'mae', 'none', 'imported'] as const
export type Method = (typeof METHODS)[number]
/** A method with views, steps and a loss. */
export type TrainedMethod = Exclude<Method, 'none' | 'imported'>

export const isTrainedMethod = (method: Method): method is TrainedMethod => method !== 'none' && method !== 'imported'

export const BACKBONES = ['vit-tiny', 'vit-small'] as const
export type BackboneName = (typeof BACKBONES)[number]

export const PRESETS = ['paper', 'msn', 'tiny-cpu'] as const
export type PresetName = (typeof PRESETS)[number]

/** In the canonical order of the EHR vector (method.md, "EHR variables and groups"). */
export const EHR_VARIABLES = ['sex', 'age', 'view', 'position', 'mortality', 'icu'] as const
export type EhrVariable = (typeof EHR_VARIABLES)[number]

export const EHR_GROUPS = { demographics: ['sex', 'age'], scan: ['view', 'position'], stay: ['mortality', 'icu'] } as const
export type EhrGroup = keyof typeof EHR_GROUPS

export const AGE_ENCODINGS = ['norm', 'bins5', 'bins10'] as const
export type AgeEncoding = (typeof AGE_ENCODINGS)[number]

/** The categories of each one-hot variable, in column order; the index is also the code that a pack stores. */
export const EHR_CATEGORIES = {
  sex: ['male', 'female'],
  view: ['PA', 'LATERAL', 'AP', 'LL'],
  position: ['Erect', 'Recumbent'],
  mortality: ['alive', 'died'],
  icu: ['icu', 'not_icu'],
} as const

export const DATASET_KINDS = ['mimic-cxr', 'nih14', 'chexpert'] as const
export type DatasetKind = (typeof DATASET_KINDS)[number]

/** Which EHR variables a kind of data set carries. */
export const DATASET_VARIABLES: Readonly<Record<DatasetKind, readonly EhrVariable[]>> = {
  'mimic-cxr': EHR_VARIABLES,
  nih14: ['sex', 'age', 'view'],
  chexpert: ['sex', 'age', 'view'],
}

/** Which list of 14 findings a kind of data set is labelled with; a classifier transfers within one list only. */
export const FINDINGS_LIST: Readonly<Record<DatasetKind, 'chexpert-14' | 'nih-14'>> = {
  'mimic-cxr': 'chexpert-14',
  nih14: 'nih-14',
  chexpert: 'chexpert-14',
}

/** `findings` are the data set's 14 labels; the others are sanity label sets that any lab can check by eye. */
export const LABEL_SETS = ['findings', 'view', 'sex', 'age60'] as const
export type LabelSet = (typeof LABEL_SETS)[number]

/** Evaluations that train a classifier on the data set that they test. */
export const TRAINED_MODES = ['linear', 'linear-cached', 'finetune'] as const
export type TrainedMode = (typeof TRAINED_MODES)[number]

/** `transfer` trains nothing: it tests the classifier of another evaluation on another data set. */
export const EVALUATION_MODES = [...TRAINED_MODES, 'transfer'] as const
export type EvaluationMode = (typeof EVALUATION_MODES)[number]

export const SPLITS = ['train', 'validation', 'test'] as const
export type Split = (typeof SPLITS)[number]

export const PRECISIONS = ['float32', 'bfloat16'] as const
export type Precision = (typeof PRECISIONS)[number]

export const XLA_MODES = ['off', 'on'] as const
export type XlaMode = (typeof XLA_MODES)[number]
