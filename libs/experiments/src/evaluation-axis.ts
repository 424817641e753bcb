/** The evaluations that a grid asks for: combinations, and what a data set cannot be evaluated on. */
import type { DatasetFacts } from './grid-plan.ts'
import type { EvaluationRequest, GridRequest } from './grid-request.ts'
import type { SpecProblem } from './problems.ts'
import {
  DATASET_VARIABLES,
  type DatasetKind,
  type EhrVariable,
  type EvaluationMode,
  FINDINGS_LIST,
  type LabelSet,
  type TrainedMode,
} from './vocabulary.ts'

interface Tested {
  readonly dataset: string
  readonly labels: LabelSet
  readonly labelFraction: number
}

/** One evaluation of every backbone. */
export type EvaluationChoice =
  | (Tested & { readonly mode: TrainedMode })
  | (Tested & { readonly mode: 'transfer'; readonly trainedOn: { readonly dataset: string; readonly mode: TrainedMode } })

type Datasets = ReadonlyMap<string, DatasetFacts>
type VariablesByKind = Readonly<Record<DatasetKind, readonly EhrVariable[]>>

/** What a label set reads besides the findings. */
const LABEL_VARIABLE: Readonly<Record<LabelSet, EhrVariable | null>> = { findings: null, view: 'view', sex: 'sex', age60: 'age' }

/** Why a data set of this kind cannot be evaluated on these labels, or undefined. */
export function labelSetProblem(
  labels: LabelSet,
  dataset: Pick<DatasetFacts, 'name' | 'kind'>,
  path: string,
  carried: VariablesByKind = DATASET_VARIABLES,
): SpecProblem | undefined {
  const variable = LABEL_VARIABLE[labels]
  if (variable === null || carried[dataset.kind].includes(variable)) return undefined
  const message = `data set ${dataset.name} (${dataset.kind}) has no ${variable}, which labels "${labels}" are made of`
  return { code: 'labels-not-in-dataset', path, message }
}

function choicesOf(entry: EvaluationRequest, mode: EvaluationMode, tested: Tested, gridDataset: string): EvaluationChoice[] {
  if (mode !== 'transfer') return [{ ...tested, mode }]
  const source = entry.transferFrom
  return (source?.mode ?? []).map((trained) => {
    return { ...tested, mode, trainedOn: { dataset: source?.dataset ?? gridDataset, mode: trained } }
  })
}

/** Number of evaluations of each backbone that is asked for, before repeated ones are dropped. */
const evaluationCount = (request: GridRequest) =>
  request.evaluations.reduce((sum, entry) => {
    const modes = entry.mode.reduce(
      (count, mode) => count + (mode === 'transfer' ? (entry.transferFrom?.mode.length ?? 0) : 1),
      0,
    )
    return sum + modes * entry.labels.length * entry.labelFraction.length
  }, 0)

export function evaluationChoices(request: GridRequest, warnings: string[]): EvaluationChoice[] {
  const distinct = new Map<string, EvaluationChoice>()
  for (const entry of request.evaluations) {
    const dataset = entry.dataset ?? request.dataset
    for (const mode of entry.mode)
      for (const labels of entry.labels)
        for (const labelFraction of entry.labelFraction)
          for (const choice of choicesOf(entry, mode, { dataset, labels, labelFraction }, request.dataset))
            distinct.set(JSON.stringify(choice), choice)
  }
  if (distinct.size < evaluationCount(request))
    warnings.push('repeated-evaluation: some evaluations are listed more than once; each is taken once')
  return [...distinct.values()]
}

/** Names of all data sets that the evaluations read. */
export const evaluatedDatasets = (choices: readonly EvaluationChoice[]): string[] => [
  ...new Set(choices.flatMap((choice) => [choice.dataset, ...(choice.mode === 'transfer' ? [choice.trainedOn.dataset] : [])])),
]

function transferProblems(entry: EvaluationRequest, path: string, request: GridRequest, datasets: Datasets): SpecProblem[] {
  const transfers = entry.mode.includes('transfer')
  const source = entry.transferFrom
  if (transfers && !source) {
    const message = 'mode transfer tests a classifier that was trained elsewhere; say where in transferFrom'
    return [{ code: 'transfer-without-source', path: `${path}/transferFrom`, message }]
  }
  if (!source) return []
  if (!transfers) {
    const message = 'transferFrom serves mode transfer, which this entry does not list'
    return [{ code: 'invalid-value', path: `${path}/transferFrom`, message }]
  }
  const [from, to] = [source.dataset ?? request.dataset, entry.dataset ?? request.dataset]
  if (from === to) {
    const message = `the classifiers are trained on ${from} itself; a transfer tests them on another data set`
    return [
      { code: 'transfer-to-same-dataset', path: `${path}/${entry.dataset === undefined ? 'transferFrom' : 'dataset'}`, message },
    ]
  }
  const [trained, tested] = [datasets.get(from), datasets.get(to)]
  if (!trained || !tested) return []
  return entry.labels.flatMap((labels, j): SpecProblem[] => {
    const at = `${path}/labels/${j}`
    const unlabelled = labelSetProblem(labels, trained, at)
    if (unlabelled) return [unlabelled]
    if (labels !== 'findings' || FINDINGS_LIST[trained.kind] === FINDINGS_LIST[tested.kind]) return []
    const message = `the findings of ${from} (${trained.kind}) are not those of ${to} (${tested.kind})`
    return [{ code: 'labels-differ', path: at, message }]
  })
}

export function unknownDataset(name: string, path: string, datasets: Datasets): SpecProblem[] {
  if (datasets.has(name)) return []
  const known = [...datasets.keys()].sort().join(', ') || 'none is registered'
  return [{ code: 'unknown-dataset', path, message: `no data set "${name}" is registered (known: ${known})` }]
}

/** What is wrong with the data sets and labels of the evaluations. */
export function evaluationProblems(request: GridRequest, datasets: Datasets): SpecProblem[] {
  return request.evaluations.flatMap((entry, i) => {
    const path = `/evaluations/${i}`
    const facts = datasets.get(entry.dataset ?? request.dataset)
    const source = entry.transferFrom?.dataset
    return [
      ...(entry.dataset === undefined ? [] : unknownDataset(entry.dataset, `${path}/dataset`, datasets)),
      ...(source === undefined ? [] : unknownDataset(source, `${path}/transferFrom/dataset`, datasets)),
      ...entry.labels.flatMap((labels, j) => (facts && labelSetProblem(labels, facts, `${path}/labels/${j}`)) ?? []),
      ...transferProblems(entry, path, request, datasets),
    ]
  })
}
