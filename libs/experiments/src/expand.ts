/** Grid request -> plan: experiments, and the distinct runs that they share. */
import { readAxes } from './axes.ts'
import type { DatasetFacts, ExperimentPoint, GridPlan, RunDraft } from './grid-plan.ts'
import type { GridRequest } from './grid-request.ts'
import { runIdOf, SEMANTICS } from './identity.ts'
import { isTrainedPretrain, type PretrainSpec, type RunSpec } from './spec.ts'
import { type EvaluationTemplate, type PretrainTemplate, resolveTemplates, type Templates } from './templates.ts'
import { trainedOnTitle } from './title.ts'
import { planWarnings } from './warnings.ts'

/** Points that one grid may have where the caller sets no limit. */
export const DEFAULT_POINT_LIMIT = 20_000

/** What a point of method `none` shows as its pretraining data set. */
export const NO_PRETRAIN_DATASET = 'none'

/** Runs of a plan, each once, in the order in which they were first needed: upstream before downstream. */
class RunLedger {
  readonly #runs = new Map<string, RunDraft>()
  readonly #datasets: ReadonlyMap<string, DatasetFacts>
  constructor(datasets: ReadonlyMap<string, DatasetFacts>) {
    this.#datasets = datasets
  }

  add(spec: RunSpec, upstream: readonly string[]): string {
    const facts = 'dataset' in spec ? this.#datasets.get(spec.dataset) : undefined
    const dataset = facts ? { name: facts.name, fingerprint: facts.fingerprint } : null
    const id = runIdOf({ spec, fingerprint: dataset?.fingerprint ?? null, upstream, semantics: SEMANTICS })
    if (!this.#runs.has(id)) this.#runs.set(id, { id, kind: spec.kind, spec, upstream, dataset, semantics: SEMANTICS })
    return id
  }

  list(): readonly RunDraft[] {
    return [...this.#runs.values()]
  }
}

type TestFacts = Pick<ExperimentPoint, 'dataset' | 'mode' | 'trainedOn' | 'labels' | 'labelFraction' | 'evaluate'>
function pretrainDatasetOf(spec: PretrainSpec): string {
  if (isTrainedPretrain(spec)) return spec.dataset
  return spec.method === 'imported' ? `weights ${spec.weights.slice(0, 12)}` : NO_PRETRAIN_DATASET
}

type PointFacts = Omit<ExperimentPoint, 'index' | keyof TestFacts>

function pointFacts({ ehr, spec }: PretrainTemplate, seed: number, pretrain: string): PointFacts {
  return {
    method: spec.method,
    backbone: spec.backbone.name,
    ehr,
    ageEncoding: spec.method === 'msn' ? (spec.ehr?.ageEncoding ?? null) : null,
    seed,
    pretrainDataset: pretrainDatasetOf(spec),
    pretrain,
  }
}

/** The runs of one evaluation of the backbone of `pretrain`, and what its point tells of it. */
function addEvaluation(
  { trained, transfer }: EvaluationTemplate,
  seed: number,
  pretrain: string,
  ledger: RunLedger,
  packOf: (dataset: string) => string,
): TestFacts {
  const evaluate = ledger.add({ ...trained, seed }, [pretrain, packOf(trained.dataset)])
  if (transfer === null) {
    const { dataset, mode, labels, labelFraction } = trained
    return { dataset, mode, trainedOn: null, labels, labelFraction, evaluate }
  }
  const { dataset, mode, labels, labelFraction, trainedOn } = transfer
  const tested = ledger.add({ ...transfer, seed }, [evaluate, pretrain, packOf(dataset)])
  return { dataset, mode, trainedOn: trainedOnTitle(trainedOn), labels, labelFraction, evaluate: tested }
}

function layOut(
  request: GridRequest,
  templates: Templates,
  datasets: ReadonlyMap<string, DatasetFacts>,
): Omit<GridPlan, 'warnings'> {
  const ledger = new RunLedger(datasets)
  const packs = new Map([...templates.prepares].map(([name, spec]) => [name, ledger.add(spec, [])]))
  const packOf = (name: string): string => packs.get(name)!
  const points: ExperimentPoint[] = []
  for (const template of templates.pretrains) {
    const { spec } = template
    const evaluations = templates.evaluations.get(spec.method) ?? []
    for (const seed of request.seed) {
      const seeded = spec.method === 'imported' ? spec : { ...spec, seed }
      const pretrain = ledger.add(seeded, isTrainedPretrain(spec) ? [packOf(spec.dataset)] : [])
      const facts = pointFacts(template, seed, pretrain)
      for (const evaluation of evaluations) {
        const test = addEvaluation(evaluation, seed, pretrain, ledger, packOf)
        points.push({ index: points.length, ...facts, ...test })
      }
    }
  }
  return { points, runs: ledger.list() }
}

/**
 * Plan of a grid: every experiment, and each distinct run once. Pretrainings and packs are shared between experiments. EHR sets
 * and age encodings multiply MSN alone; random initialisation (`none`) does not know a pretraining data set either. Age encodings
 * count only for sets with age.
 *
 * Points are counted before anything is expanded, so a grid that is too large costs nothing to refuse.
 * @param datasets the registered data sets, by name.
 * @throws GridInvalidError with all problems found.
 */
export function expandGrid(
  request: GridRequest,
  datasets: ReadonlyMap<string, DatasetFacts>,
  { limit = DEFAULT_POINT_LIMIT }: { readonly limit?: number } = {},
): GridPlan {
  const axes = readAxes(request, datasets, limit)
  const templates = resolveTemplates(request, axes)
  const evaluations = [...templates.evaluations.values()].flat()
  const specs = [
    ...templates.prepares.values(),
    ...templates.pretrains.map(({ spec }) => spec),
    ...evaluations.flatMap(({ trained, transfer }) => (transfer ? [trained, transfer] : [trained])),
  ]
  return { ...layOut(request, templates, datasets), warnings: [...axes.warnings, ...planWarnings(request, specs)] }
}
