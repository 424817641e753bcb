/** The state of the lab, read from the database at each scrape, into the gauges of /metrics. */
import { RUN_KINDS } from '#libs/experiments'
import { ATTEMPT_ENDINGS, type LabGauges, OPEN_ATTEMPT_STATES, RUN_STATES } from '#libs/runs'
import type { ApiDeps } from './deps.ts'

type Metrics = ApiDeps['registry']['metrics']

export function fillGauges(metrics: Metrics, gauges: LabGauges): void {
  for (const kind of RUN_KINDS) {
    for (const state of RUN_STATES) metrics.runs.set({ kind, state }, gauges.runs[kind][state])
  }
  metrics.outboxRows.set(gauges.outboxRows)
  metrics.outboxAge.set(gauges.outboxAgeSeconds)
  metrics.queueAge.set(gauges.queueAgeSeconds)
  // A class whose last worker left must not keep its old count.
  metrics.workers.reset()
  for (const [resourceClass, alive] of Object.entries(gauges.workersAlive)) metrics.workers.set({ class: resourceClass }, alive)
  metrics.openAttempts.reset()
  for (const [resourceClass, states] of Object.entries(gauges.openAttempts)) {
    for (const state of OPEN_ATTEMPT_STATES) metrics.openAttempts.set({ class: resourceClass, state }, states[state] ?? 0)
  }
  for (const ending of ATTEMPT_ENDINGS) metrics.recentEndings.set({ ending }, gauges.recentEndings[ending] ?? 0)
  metrics.checkpointAge.set(gauges.checkpointAgeSeconds)
}

/** Where the database does not answer: stale counts would lie, and alerts would rest on them. */
export function clearGauges(metrics: Metrics): void {
  for (const gauge of [metrics.runs, metrics.workers, metrics.openAttempts, metrics.recentEndings]) gauge.reset()
  for (const gauge of [metrics.outboxRows, metrics.outboxAge, metrics.queueAge, metrics.checkpointAge]) gauge.remove()
}
