/** The worker's Prometheus metrics, made of what children report. */
import type { Assignment, AttemptEnding } from '#libs/runs'
import type { MetricsOf } from '#libs/telemetry'
import { labelsOf } from './assignment.ts'
import type { Point } from './reporter.ts'

export type WorkerMetrics = Pick<
  MetricsOf<'worker'>,
  'attempts' | 'stepDuration' | 'images' | 'loss' | 'collapse' | 'draining' | 'droppedPoints'
>

export interface AttemptObserver {
  points(points: readonly Point[]): void
  progress(done: number, unit: string): void
  dropped(points: number): void
  ended(ending: AttemptEnding): void
}

/** Names of points that training loops report for every step. */
const STEP_SECONDS = 'stepSeconds'
const LOSS = 'loss'
/** Of MSN's steps. Collapsed: few prototypes are chosen, and all anchors look one way. */
const COLLAPSE: ReadonlySet<string> = new Set(['distinct', 'cosine'])

export function observeAttempt(metrics: WorkerMetrics, assignment: Assignment): AttemptObserver {
  const labels = labelsOf(assignment.spec, assignment.upstream)
  const { method } = labels
  // A resumed run begins where it stopped: what was done before the first report is not this attempt's.
  let counted: number | null = null
  return {
    points(points) {
      for (const { name, value } of points) {
        if (name === STEP_SECONDS) metrics.stepDuration.observe(labels, value)
        else if (name === LOSS) metrics.loss.set({ method }, value)
        else if (COLLAPSE.has(name)) metrics.collapse.set({ statistic: name }, value)
      }
    },
    progress(done, unit) {
      if (unit !== 'images') return
      if (counted !== null && done > counted) metrics.images.inc({ method }, done - counted)
      counted = Math.max(done, counted ?? 0)
    },
    dropped: (points) => metrics.droppedPoints.inc(points),
    ended(ending) {
      metrics.attempts.inc({ kind: assignment.spec.kind, ending })
      // An alarm must not outlive its run; one that runs beside it sets them again at its next step.
      metrics.collapse.reset()
    },
  }
}
