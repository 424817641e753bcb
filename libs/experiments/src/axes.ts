/** The axes of a grid, read and counted before anything is expanded. */
import { ALL_COMBINATIONS, ALL_COMBINATIONS_WORD, ehrSetName, parseEhrSet } from './ehr-sets.ts'
import { GridInvalidError } from './errors.ts'
import type { DatasetFacts } from './grid-plan.ts'
import type { GridRequest } from './grid-request.ts'
import type { EvaluateChoice, PretrainChoice } from './presets.ts'
import type { SpecProblem } from './problems.ts'
import { DATASET_VARIABLES, type DatasetKind, type EhrVariable, type LabelSet } from './vocabulary.ts'

/** One EHR set with one age encoding, or vanilla. */
export interface EhrChoice {
  readonly name: string
  readonly ehr: PretrainChoice['ehr']
}

export type EvaluationChoice = Omit<EvaluateChoice, 'seed'>

export interface GridAxes {
  readonly ehr: readonly EhrChoice[]
  readonly evaluations: readonly EvaluationChoice[]
  readonly points: number
  readonly warnings: readonly string[]
}

/** What a label set reads besides the findings. */
const LABEL_VARIABLE: Readonly<Record<LabelSet, EhrVariable | null>> = { findings: null, view: 'view', sex: 'sex', age60: 'age' }

type VariablesByKind = Readonly<Record<DatasetKind, readonly EhrVariable[]>>

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

interface WrittenSet {
  readonly variables: readonly EhrVariable[] | null
  readonly path: string
}

function readSets(request: GridRequest, problems: SpecProblem[]): WrittenSet[] {
  return request.ehr.flatMap((text, i) => {
    const path = `/ehr/${i}`
    const words = text.trim() === ALL_COMBINATIONS_WORD ? ALL_COMBINATIONS : [text]
    return words.flatMap((word): WrittenSet[] => {
      try {
        return [{ variables: parseEhrSet(word, path), path }]
      } catch (error) {
        if (!(error instanceof GridInvalidError)) throw error
        problems.push(...error.problems)
        return []
      }
    })
  })
}

/** One problem for each place in the request, naming all variables that the data set lacks. */
function missingVariables(sets: readonly WrittenSet[], dataset: DatasetFacts): SpecProblem[] {
  const carried = DATASET_VARIABLES[dataset.kind]
  return [...new Set(sets.map((set) => set.path))].flatMap((path): SpecProblem[] => {
    const here = sets.filter((set) => set.path === path)
    const lacked = new Set(here.flatMap((set) => set.variables ?? []).filter((variable) => !carried.includes(variable)))
    if (lacked.size === 0) return []
    const message = `data set ${dataset.name} (${dataset.kind}) has no ${[...lacked].join(', ')}; it carries ${carried.join(', ')}`
    return [{ code: 'variable-not-in-dataset', path, message }]
  })
}

function ehrChoices(sets: readonly WrittenSet[], request: GridRequest, warnings: string[]): EhrChoice[] {
  const distinct = new Map(sets.map((set) => [ehrSetName(set.variables), set.variables]))
  if (distinct.size < sets.length) warnings.push('repeated-ehr-set: some EHR sets are listed more than once; each is taken once')
  return [...distinct].flatMap(([name, variables]): EhrChoice[] => {
    if (variables === null) return [{ name, ehr: null }]
    if (!variables.includes('age')) return [{ name, ehr: { variables, ageEncoding: null } }]
    return request.ageEncoding.map((ageEncoding) => ({ name, ehr: { variables, ageEncoding } }))
  })
}

/** Number of evaluations of each backbone that is asked for, before repeated ones are dropped. */
const evaluationCount = (request: GridRequest) =>
  request.evaluations.reduce((sum, entry) => sum + entry.mode.length * entry.labels.length * entry.labelFraction.length, 0)

function evaluationChoices(request: GridRequest, warnings: string[]): EvaluationChoice[] {
  const distinct = new Map<string, EvaluationChoice>()
  for (const entry of request.evaluations) {
    const dataset = entry.dataset ?? request.dataset
    for (const mode of entry.mode)
      for (const labels of entry.labels)
        for (const labelFraction of entry.labelFraction)
          distinct.set(`${dataset} ${mode} ${labels} ${labelFraction}`, { dataset, mode, labels, labelFraction })
  }
  if (distinct.size < evaluationCount(request))
    warnings.push('repeated-evaluation: some evaluations are listed more than once; each is taken once')
  return [...distinct.values()]
}

function datasetProblems(request: GridRequest, datasets: ReadonlyMap<string, DatasetFacts>): SpecProblem[] {
  const unknown = (name: string, path: string): SpecProblem => {
    const known = [...datasets.keys()].sort().join(', ') || 'none is registered'
    return { code: 'unknown-dataset', path, message: `no data set "${name}" is registered (known: ${known})` }
  }
  const problems = datasets.has(request.dataset) ? [] : [unknown(request.dataset, '/dataset')]
  request.evaluations.forEach((entry, i) => {
    if (entry.dataset !== undefined && !datasets.has(entry.dataset))
      problems.push(unknown(entry.dataset, `/evaluations/${i}/dataset`))
    const facts = datasets.get(entry.dataset ?? request.dataset)
    entry.labels.forEach((labels, j) => {
      const problem = facts && labelSetProblem(labels, facts, `/evaluations/${i}/labels/${j}`)
      if (problem) problems.push(problem)
    })
  })
  return problems
}

/** Experiments that the request stands for; EHR sets and age encodings count for MSN only. */
function countPoints(request: GridRequest, ehr: number, evaluations: number): number {
  const perBackbone = request.method.reduce((sum, method) => sum + (method === 'msn' ? ehr : 1), 0)
  return perBackbone * request.backbone.length * request.seed.length * evaluations
}

/**
 * Axes of the request.
 * @throws GridInvalidError where a word, a data set or a variable is wrong, or where there are more than `limit` points.
 */
export function readAxes(request: GridRequest, datasets: ReadonlyMap<string, DatasetFacts>, limit: number): GridAxes {
  const warnings: string[] = []
  const problems = datasetProblems(request, datasets)
  const sets = readSets(request, problems)
  const facts = datasets.get(request.dataset)
  if (facts && request.method.includes('msn')) problems.push(...missingVariables(sets, facts))
  if (problems.length > 0) throw new GridInvalidError(problems)
  const ehr = ehrChoices(sets, request, warnings)
  const evaluations = evaluationChoices(request, warnings)
  const points = countPoints(request, ehr.length, evaluations.length)
  if (points > limit) {
    const message = `the grid has ${points.toLocaleString('en')} points; at most ${limit.toLocaleString('en')} are taken at once`
    throw new GridInvalidError([{ code: 'grid-too-large', path: '', message }])
  }
  return { ehr, evaluations, points, warnings }
}
