/** The state of the lab, read from the database at each scrape, into the gauges of /metrics. */
import { RUN_KINDS } from '#libs/experiments'
import { type LabGauges, RUN_STATES } from '#libs/runs'
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
}
