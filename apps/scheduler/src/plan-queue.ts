/** The line: who is given to the workers next, by priority and fair share; outbox -> queue -> confirmed. */
import type { ActiveCounts, MeasuredCost, PlanningStore, RunQueue, WaitingRow } from '#libs/runs'
import { fairLine, queueNumbers, type ShareLimits, type UsageBucket, usageByOwner, type WaitingAttempt } from '#libs/scheduling'

export interface LineTiming {
  /** Device time loses half its weight in this time. */
  readonly halfLifeMs: number
  /** How long measured use and costs may be out of date. */
  readonly usageEveryMs: number
}

export interface LinePlannerOptions extends LineTiming {
  readonly planning: PlanningStore
  readonly queue: RunQueue
  readonly limits: ShareLimits
  /** Attempts of a class in the queue at once: enough that no worker waits, few enough that the order stays ours. */
  readonly window: number
  /** Monotonic. */
  readonly now: () => number
}

/** After so many half-lives a thousandth is left: what is older is not read. */
const HALF_LIVES_READ = 10
/** Before anything was measured. */
const COST_UNKNOWN_SECONDS = 60

export class LinePlanner {
  readonly #options: LinePlannerOptions
  #measured:
    | { readonly atMs: number; readonly usage: readonly UsageBucket[]; readonly costs: readonly MeasuredCost[] }
    | undefined

  constructor(options: LinePlannerOptions) {
    this.#options = options
  }

  /**
   * One look at all that waits; gives how many attempts were handed over. A crash between the queue and the confirmation hands an
   * attempt over twice, which the queue and the lease both ignore.
   */
  async plan(): Promise<number> {
    const { planning, queue, window } = this.#options
    const waiting = await planning.waitingLine(window)
    if (waiting.length === 0) return 0
    const active = await planning.active()
    const { usage, costs } = await this.#measure()
    const classes = [...new Set(waiting.map(({ resourceClass }) => resourceClass))]
    const plans = classes.map((resourceClass) =>
      this.#planClass(
        resourceClass,
        waiting.filter((row) => row.resourceClass === resourceClass),
        active,
        usage,
        costs,
      ),
    )
    const news = plans.flatMap(({ added }) => added)
    const moved = plans.flatMap((plan) => plan.moved)
    if (news.length > 0) await queue.add(news)
    if (moved.length > 0) await queue.reprioritise(moved)
    await planning.offered(
      [...news, ...moved].map(({ attemptId, queuePriority }) => ({ attemptId, number: queuePriority })),
      plans.flatMap(({ held }) => held),
    )
    return news.length
  }

  #planClass(
    resourceClass: string,
    rows: readonly WaitingRow[],
    active: ActiveCounts,
    usage: readonly UsageBucket[],
    costs: readonly MeasuredCost[],
  ) {
    const { limits, window, halfLifeMs } = this.#options
    const costOf = (kind: string) =>
      costs.find((cost) => cost.resourceClass === resourceClass && cost.kind === kind)?.seconds ?? COST_UNKNOWN_SECONDS
    const waiting = rows.map(
      (row, place): WaitingAttempt => ({ ...row, place, costSeconds: costOf(row.kind), offered: row.offeredPriority !== null }),
    )
    const { line, held } = fairLine(waiting, {
      limits,
      window,
      usage: usageByOwner(usage, resourceClass, halfLifeMs / 1000),
      activeByOwner: active.byOwner,
      activeByGrid: active.byGrid,
    })
    const before = new Map(rows.map(({ attemptId, offeredPriority }) => [attemptId, offeredPriority]))
    const numbers = queueNumbers(
      // What is in the queue beyond the window stands behind, whatever its priority was: the numbers rise along each band.
      line.map(({ attemptId, priority }) => ({ attemptId, priority, number: before.get(attemptId) ?? null })),
    )
    const changed = line.flatMap(({ attemptId, offered }) => {
      const queuePriority = numbers.get(attemptId)!
      return queuePriority === before.get(attemptId) ? [] : [{ attemptId, resourceClass, queuePriority, offered }]
    })
    return { added: changed.filter(({ offered }) => !offered), moved: changed.filter(({ offered }) => offered), held }
  }

  async #measure() {
    const { planning, now, usageEveryMs, halfLifeMs } = this.#options
    if (this.#measured && now() - this.#measured.atMs < usageEveryMs) return this.#measured
    const usage = await planning.usage((HALF_LIVES_READ * halfLifeMs) / 1000)
    this.#measured = { atMs: now(), usage, costs: await planning.costs() }
    return this.#measured
  }
}
