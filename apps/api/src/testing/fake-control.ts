/** Actions on runs, and series of metrics, on plain lists. */
import type { ControlAction, ControlOutcome, RunControl, RunDetail, RunSelector, SeriesReader, StoredMetric } from '#libs/runs'

/** What was asked for. */
export interface Acted {
  readonly action: ControlAction
  readonly selector: RunSelector
  readonly priority?: number
}

/** Every run changes at once; `acted` remembers what was asked for. */
export function fakeControl(acted: Acted[], runs: readonly RunDetail[]): RunControl {
  const act =
    (action: ControlAction) =>
    async (selector: RunSelector, priority?: number): Promise<ControlOutcome> => {
      acted.push({ action, selector, ...(priority !== undefined && { priority }) })
      const refusals = runs
        .filter(({ state }) => state === 'failed')
        .map(({ id, state }) => ({ runId: id, state, reason: 'wrong-state' as const }))
      return { matched: runs.length, changed: runs.length - refusals.length, asked: 0, refused: refusals.length, refusals }
    }
  return {
    pause: act('pause'),
    resume: act('resume'),
    cancel: act('cancel'),
    retry: act('retry'),
    setPriority: act('priority'),
  }
}

/** One bucket a stored point. */
export function fakeSeries(metrics: readonly StoredMetric[]): SeriesReader {
  return {
    metricNames: async () => [...new Set(metrics.map(({ name }) => name))].sort(),
    series: async (_runId, { name, buckets, fromStep = 0, toStep = Number.POSITIVE_INFINITY }) =>
      metrics
        .filter((point) => point.name === name && point.step >= fromStep && point.step <= toStep)
        .slice(0, buckets)
        .map(({ step, value }) => ({ fromStep: step, toStep: step, count: 1, min: value, max: value, mean: value })),
    stepTimes: async () => undefined,
    // The place in the list is the cursor.
    pointsAfter: async (_runId, { after, limit }) =>
      metrics
        .slice(Number(after), Number(after) + limit)
        .map((point, i) => ({ ...point, attempt: 1, seq: after + BigInt(i + 1) })),
  }
}
