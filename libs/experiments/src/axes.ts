/** The axes of a grid, read and counted before anything is expanded. */
import { ALL_COMBINATIONS, ALL_COMBINATIONS_WORD, ehrSetName, parseEhrSet } from './ehr-sets.ts'
import { GridInvalidError } from './errors.ts'
import { type EvaluationChoice, evaluationChoices, evaluationProblems, unknownDataset } from './evaluation-axis.ts'
import type { DatasetFacts } from './grid-plan.ts'
import type { GridRequest } from './grid-request.ts'
import type { PretrainChoice } from './pretrain-presets.ts'
import type { SpecProblem } from './problems.ts'
import { DATASET_VARIABLES, type EhrVariable, isTrainedMethod, METHODS } from './vocabulary.ts'

/** One EHR set with one age encoding, or vanilla. */
export interface EhrChoice {
  readonly name: string
  readonly ehr: PretrainChoice['ehr']
}

/** What every method but MSN has. */
export const VANILLA: EhrChoice = { name: 'vanilla', ehr: null }

export interface GridAxes {
  /** Of MSN; other methods know no EHR. */
  readonly ehr: readonly EhrChoice[]
  readonly evaluations: readonly EvaluationChoice[]
  readonly points: number
  readonly warnings: readonly string[]
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

/** Overrides of a method that the grid does not ask for would be lost in silence. */
function absentMethodProblems(request: GridRequest): SpecProblem[] {
  return METHODS.flatMap((method): SpecProblem[] => {
    if (!isTrainedMethod(method) || request.overrides[method] === undefined || request.method.includes(method)) return []
    const message = `the grid has no method ${method} that these overrides could serve`
    return [{ code: 'method-not-in-grid', path: `/overrides/${method}`, message }]
  })
}

/** `imported` and the file that it takes belong together. */
function weightsProblems({ method, weights }: GridRequest): SpecProblem[] {
  if (method.includes('imported') === (weights !== undefined)) return []
  const message =
    weights === undefined
      ? 'method imported needs the SHA-256 of a file; cxrlab import tells it'
      : 'only method imported takes weights'
  return [{ code: weights === undefined ? 'missing-field' : 'method-not-in-grid', path: '/weights', message }]
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
  const problems = [
    ...unknownDataset(request.dataset, '/dataset', datasets),
    ...evaluationProblems(request, datasets),
    ...absentMethodProblems(request),
    ...weightsProblems(request),
  ]
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
