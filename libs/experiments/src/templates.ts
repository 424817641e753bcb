/** Everything that the points of a grid are made of, resolved once and for its first seed. */
import { type GridAxes, VANILLA } from './axes.ts'
import { GridInvalidError } from './errors.ts'
import { type EvaluationChoice, evaluatedDatasets } from './evaluation-axis.ts'
import type { GridRequest } from './grid-request.ts'
import { type LayeredResult, unknownToAll } from './layered.ts'
import type { SpecProblem } from './problems.ts'
import { resolveEvaluate, resolvePrepare, resolveTransfer } from './resolve.ts'
import { resolvePretrain } from './resolve-pretrain.ts'
import type { EvaluateSpec, PrepareSpec, PretrainSpec, TransferSpec } from './spec.ts'
import { isTrainedMethod, type Method } from './vocabulary.ts'

/** Pretrainings of a grid that differ in the seed alone. */
export interface PretrainTemplate {
  /** Canonical name of the EHR set. */
  readonly ehr: string
  readonly spec: PretrainSpec
}

/** Evaluations that differ in seed and backbone alone: one that trains, and where it is tested elsewhere its transfer. */
export interface EvaluationTemplate {
  readonly trained: EvaluateSpec
  /** Null: the trained evaluation itself is the point. */
  readonly transfer: TransferSpec | null
}

export interface Templates {
  readonly prepares: ReadonlyMap<string, PrepareSpec>
  readonly pretrains: readonly PretrainTemplate[]
  readonly evaluations: ReadonlyMap<Method, readonly EvaluationTemplate[]>
}

/** Collects the problems of all specs before any is reported; the same problem of many specs counts once. */
class ProblemCollector {
  readonly #problems = new Map<string, SpecProblem>()
  readonly #unused = new Map<string, (readonly string[])[]>()

  /** The spec, as a list of one, or no spec. `group`: specs that share one general override. */
  take<S>(group: string, resolved: LayeredResult<S>): readonly S[] {
    for (const problem of resolved.problems) this.#add(problem)
    const ofGroup = this.#unused.get(group)
    if (ofGroup) ofGroup.push(resolved.unused)
    else this.#unused.set(group, [resolved.unused])
    return resolved.spec === null ? [] : [resolved.spec]
  }

  throwIfAny(): void {
    for (const unused of this.#unused.values()) for (const problem of unknownToAll(unused)) this.#add(problem)
    if (this.#problems.size > 0) throw new GridInvalidError([...this.#problems.values()])
  }

  #add(problem: SpecProblem): void {
    this.#problems.set(JSON.stringify(problem), problem)
  }
}

function pretrainTemplates(request: GridRequest, axes: GridAxes, collector: ProblemCollector): PretrainTemplate[] {
  const { preset, dataset, overrides } = request
  // A template carries the first seed; the request's schema has checked them all.
  const seed = request.seed[0]!
  return request.method.flatMap((method) =>
    request.backbone.flatMap((backbone) =>
      (method === 'msn' ? axes.ehr : [VANILLA]).flatMap(({ name, ehr }) =>
        collector
          .take(
            'pretrain',
            resolvePretrain(method, preset, { dataset, seed, backbone, ehr, weights: request.weights ?? null }, overrides),
          )
          .map((spec) => ({ ehr: name, spec })),
      ),
    ),
  )
}

function evaluationTemplate(
  request: GridRequest,
  choice: EvaluationChoice,
  backbone: { readonly method: Method; readonly imagePx: number },
  collector: ProblemCollector,
): EvaluationTemplate[] {
  const { preset, overrides } = request
  const seed = request.seed[0]!
  const resolved = (trained: Parameters<typeof resolveEvaluate>[1]) =>
    collector.take('evaluate', resolveEvaluate(preset, trained, backbone, overrides.evaluate))
  if (choice.mode !== 'transfer') return resolved({ ...choice, seed }).map((trained) => ({ trained, transfer: null }))
  const { dataset, labels, labelFraction, trainedOn } = choice
  const transfers = collector.take(
    'evaluate',
    resolveTransfer(preset, { dataset, labels, labelFraction, trainedOn, seed }, backbone.imagePx, overrides.evaluate),
  )
  return resolved({ ...trainedOn, labels, labelFraction, seed }).flatMap((trained) =>
    transfers.map((transfer) => ({ trained, transfer })),
  )
}

/** @throws GridInvalidError with all problems found. */
export function resolveTemplates(request: GridRequest, axes: GridAxes): Templates {
  const { preset, overrides } = request
  const collector = new ProblemCollector()
  const pretrains = pretrainTemplates(request, axes, collector)
  const read = new Set(evaluatedDatasets(axes.evaluations))
  if (request.method.some(isTrainedMethod)) read.add(request.dataset)
  const prepares = [...read].flatMap((name) =>
    collector.take('prepare', resolvePrepare(preset, name, overrides.prepare)).map((spec) => [name, spec] as const),
  )
  const imagePx = Math.max(0, ...pretrains.map(({ spec }) => spec.backbone.imagePx))
  const evaluations = request.method.map((method) => {
    const templates = axes.evaluations.flatMap((choice) => evaluationTemplate(request, choice, { method, imagePx }, collector))
    return [method, templates] as const
  })
  collector.throwIfAny()
  return { prepares: new Map(prepares), pretrains, evaluations: new Map(evaluations) }
}
