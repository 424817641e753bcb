/** What a plan costs before anything is run: runs, how many of them are shared, images, floating point operations. */
import type { GridPlan, RunDraft, RunId } from '../grid-plan.ts'
import { type EvaluationSpec, isTrainedPretrain, type PretrainSpec, type RunSpec } from '../spec.ts'
import { RUN_KINDS, type RunKind } from '../vocabulary.ts'
import { evaluationFlops, pretrainFlops } from './flops.ts'
import type { DatasetSize } from './sizes.ts'

export interface WorkEstimate {
  readonly runs: number
  /** Runs that more than one experiment rests on. */
  readonly shared: number
  /** Images that pass a network, all its views as one; of a prepare run, images decoded. */
  readonly images: number
  /** Of matrix products. */
  readonly flops: number
}

export interface GridEstimate {
  readonly byKind: Readonly<Record<RunKind, WorkEstimate>>
  readonly total: WorkEstimate
}

interface Work {
  readonly images: number
  readonly flops: number
}

/** Looks up what runs need to know of data sets and of the runs before them. */
class Estimator {
  readonly #runs: ReadonlyMap<RunId, RunDraft>
  readonly #sizes: ReadonlyMap<string, DatasetSize>
  constructor(plan: GridPlan, sizes: ReadonlyMap<string, DatasetSize>) {
    this.#runs = new Map(plan.runs.map((run) => [run.id, run]))
    this.#sizes = sizes
  }

  work(run: RunDraft): Work {
    const { spec } = run
    switch (spec.kind) {
      case 'prepare': {
        const { train, validation, test } = this.#size(spec.dataset)
        return { images: train + validation + test, flops: 0 }
      }
      case 'pretrain':
        return this.#pretrain(spec)
      case 'evaluate':
        return this.#evaluate(spec, this.#pretrainBefore(run))
    }
  }

  /** Ids of the run and of everything that it rests on. */
  closure(id: RunId, into: Set<RunId> = new Set()): Set<RunId> {
    into.add(id)
    for (const upstream of this.#runs.get(id)?.upstream ?? []) if (!into.has(upstream)) this.closure(upstream, into)
    return into
  }

  #pretrain(spec: PretrainSpec): Work {
    if (!isTrainedPretrain(spec)) return { images: 0, flops: 0 }
    const { train, validation, test } = this.#size(spec.dataset)
    const images = spec.pretrainOn === 'all' ? train + validation + test : train
    // The last, partial batch of an epoch is left out.
    const passes = spec.epochs * Math.floor(images / spec.batch) * spec.batch
    return { images: passes, flops: passes * pretrainFlops(spec) }
  }

  /** Early stopping is not foreseen: all epochs count. */
  #evaluate(spec: EvaluationSpec, pretrain: PretrainSpec): Work {
    const { train: whole, validation, test } = this.#size(spec.dataset)
    const train = Math.max(1, Math.round(whole * spec.labelFraction))
    const { forward, training } = evaluationFlops(pretrain.backbone)
    const inference = (images: number): Work => ({ images, flops: images * forward })
    switch (spec.mode) {
      case 'linear-cached':
        return inference(train + validation + test)
      case 'linear':
        return inference(spec.epochs * train + validation + test)
      case 'finetune': {
        const trained = spec.epochs * train
        const scored = spec.epochs * validation + test
        return { images: trained + scored, flops: trained * training + scored * forward }
      }
      case 'transfer':
        return inference(test)
    }
  }

  #size(dataset: string): DatasetSize {
    const size = this.#sizes.get(dataset)
    if (!size) throw new RangeError(`no size of data set ${dataset}`)
    return size
  }

  #pretrainBefore(run: RunDraft): PretrainSpec {
    const specs = run.upstream.map((id): RunSpec | undefined => this.#runs.get(id)?.spec)
    const found = specs.find((spec) => spec?.kind === 'pretrain')
    if (found?.kind !== 'pretrain') throw new RangeError(`run ${run.id} is evaluated without a pretraining`)
    return found
  }
}

const NOTHING: WorkEstimate = { runs: 0, shared: 0, images: 0, flops: 0 }

const plus = (a: WorkEstimate, b: WorkEstimate): WorkEstimate => ({
  runs: a.runs + b.runs,
  shared: a.shared + b.shared,
  images: a.images + b.images,
  flops: a.flops + b.flops,
})

/**
 * Estimate of every distinct run of a plan, whether or not it was done before.
 * @param sizes of every data set that the plan reads
 * @throws RangeError where a size is missing
 */
export function estimatePlan(plan: GridPlan, sizes: ReadonlyMap<string, DatasetSize>): GridEstimate {
  const estimator = new Estimator(plan, sizes)
  const users = new Map<RunId, number>()
  for (const { evaluate } of plan.points) for (const id of estimator.closure(evaluate)) users.set(id, (users.get(id) ?? 0) + 1)
  const byKind = Object.fromEntries(RUN_KINDS.map((kind) => [kind, NOTHING])) as Record<RunKind, WorkEstimate>
  for (const run of plan.runs) {
    const shared = (users.get(run.id) ?? 0) > 1 ? 1 : 0
    byKind[run.kind] = plus(byKind[run.kind], { runs: 1, shared, ...estimator.work(run) })
  }
  return { byKind, total: Object.values(byKind).reduce(plus, NOTHING) }
}

/** Hours of one device that computes `flopsPerSecond` all the time. */
export const deviceHours = ({ flops }: Pick<WorkEstimate, 'flops'>, flopsPerSecond: number): number =>
  flops / flopsPerSecond / 3600
