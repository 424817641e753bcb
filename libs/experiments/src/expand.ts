/** Grid request -> plan: experiments, and the distinct runs that they share. */
import { type EvaluationChoice, type GridAxes, readAxes } from './axes.ts'
import { GridInvalidError } from './errors.ts'
import type { DatasetFacts, ExperimentPoint, GridPlan, RunDraft } from './grid-plan.ts'
import type { GridRequest } from './grid-request.ts'
import { runIdOf, SEMANTICS } from './identity.ts'
import type { PretrainChoice } from './presets.ts'
import type { SpecProblem } from './problems.ts'
import { type Resolved, resolveEvaluate, resolvePrepare, resolvePretrain } from './resolve.ts'
import type { EvaluateSpec, MsnPretrainSpec, PrepareSpec, PretrainSpec, RunSpec } from './spec.ts'
import type { BackboneName } from './vocabulary.ts'
import { planWarnings } from './warnings.ts'

/** Points that one grid may have where the caller sets no limit. */
export const DEFAULT_POINT_LIMIT = 20_000

/** What a point of method `none` shows as its pretraining data set. */
export const NO_PRETRAIN_DATASET = 'none'

/** Pretrainings of a grid that differ in the seed alone. */
interface PretrainTemplate {
  /** Canonical name of the EHR set. */
  readonly ehr: string
  readonly spec: PretrainSpec
}

/** Everything that the points are made of, resolved once. */
interface Templates {
  readonly prepares: ReadonlyMap<string, PrepareSpec>
  readonly pretrains: readonly PretrainTemplate[]
  readonly evaluations: readonly EvaluateSpec[]
}

/** Collects the problems of all specs before any is reported; the same problem of many specs counts once. */
class ProblemCollector {
  readonly #problems = new Map<string, SpecProblem>()

  /** The spec, as a list of one, or no spec. */
  take<S>(resolved: Resolved<S>): readonly S[] {
    for (const problem of resolved.problems) this.#problems.set(JSON.stringify(problem), problem)
    return resolved.spec === null ? [] : [resolved.spec]
  }

  throwIfAny(): void {
    if (this.#problems.size > 0) throw new GridInvalidError([...this.#problems.values()])
  }
}

function pretrainTemplates(request: GridRequest, axes: GridAxes, collector: ProblemCollector): PretrainTemplate[] {
  const { preset, dataset, overrides } = request
  // A template carries the first seed; the request's schema has checked them all.
  const seed = request.seed[0]!
  const resolve = (backbone: BackboneName, ehr: PretrainChoice['ehr']): readonly MsnPretrainSpec[] =>
    collector.take(resolvePretrain(preset, { dataset, seed, backbone, ehr }, overrides.pretrain))
  const msn = (backbone: BackboneName) =>
    axes.ehr.flatMap(({ name, ehr }) => resolve(backbone, ehr).map((spec) => ({ ehr: name, spec })))
  const none = (backbone: BackboneName) =>
    resolve(backbone, null).map((spec): PretrainTemplate => {
      return { ehr: 'vanilla', spec: { kind: 'pretrain', method: 'none', seed, backbone: spec.backbone } }
    })
  return request.method.flatMap((method) => request.backbone.flatMap(method === 'msn' ? msn : none))
}

function resolveTemplates(request: GridRequest, axes: GridAxes): Templates {
  const { preset, overrides } = request
  const collector = new ProblemCollector()
  const pretrains = pretrainTemplates(request, axes, collector)
  const read = new Set(axes.evaluations.map((evaluation) => evaluation.dataset))
  if (request.method.includes('msn')) read.add(request.dataset)
  const prepares = [...read].flatMap((name) =>
    collector.take(resolvePrepare(preset, name, overrides.prepare)).map((spec) => [name, spec] as const),
  )
  const imagePx = Math.max(0, ...pretrains.map(({ spec }) => spec.backbone.imagePx))
  const evaluate = (choice: EvaluationChoice) =>
    collector.take(resolveEvaluate(preset, { ...choice, seed: request.seed[0]! }, imagePx, overrides.evaluate))
  const evaluations = axes.evaluations.flatMap(evaluate)
  collector.throwIfAny()
  return { prepares: new Map(prepares), pretrains, evaluations }
}

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

type PointFacts = Omit<ExperimentPoint, 'index' | 'evaluate' | 'dataset' | 'mode' | 'labels' | 'labelFraction'>

function pointFacts({ ehr, spec }: PretrainTemplate, seed: number, pretrain: string): PointFacts {
  const msn = spec.method === 'msn'
  return {
    method: spec.method,
    backbone: spec.backbone.name,
    ehr,
    ageEncoding: msn ? (spec.ehr?.ageEncoding ?? null) : null,
    seed,
    pretrainDataset: msn ? spec.dataset : NO_PRETRAIN_DATASET,
    pretrain,
  }
}

function layOut(
  request: GridRequest,
  templates: Templates,
  datasets: ReadonlyMap<string, DatasetFacts>,
): Omit<GridPlan, 'warnings'> {
  const ledger = new RunLedger(datasets)
  const packs = new Map([...templates.prepares].map(([name, spec]) => [name, ledger.add(spec, [])]))
  const packOf = (name: string): string => packs.get(name)!
  const evaluationsBySeed = new Map(request.seed.map((seed) => [seed, templates.evaluations.map((spec) => ({ ...spec, seed }))]))
  const points: ExperimentPoint[] = []
  for (const template of templates.pretrains) {
    for (const seed of request.seed) {
      const upstream = template.spec.method === 'msn' ? [packOf(template.spec.dataset)] : []
      const pretrain = ledger.add({ ...template.spec, seed }, upstream)
      const facts = pointFacts(template, seed, pretrain)
      for (const spec of evaluationsBySeed.get(seed)!) {
        const { dataset, mode, labels, labelFraction } = spec
        const evaluate = ledger.add(spec, [pretrain, packOf(dataset)])
        points.push({ index: points.length, ...facts, dataset, mode, labels, labelFraction, evaluate })
      }
    }
  }
  return { points, runs: ledger.list() }
}

/**
 * Plan of a grid: every experiment, and each distinct run once. Pretrainings and packs are shared between experiments; random
 * initialisation (`none`) knows neither EHR sets nor a pretraining data set; age encodings count only for sets with age.
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
  const specs = [...templates.prepares.values(), ...templates.pretrains.map(({ spec }) => spec), ...templates.evaluations]
  return { ...layOut(request, templates, datasets), warnings: [...axes.warnings, ...planWarnings(request, specs)] }
}
