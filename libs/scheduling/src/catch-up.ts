import { type CronSchedule, fireTimesAfter, lastFireTimeWithin } from './cron.ts'

/** What becomes of a fire time that finds the one before still at work. */
export const OVERLAP_RULES = ['skip', 'queue'] as const
export type OverlapRule = (typeof OVERLAP_RULES)[number]

export interface ScheduleState {
  readonly schedule: CronSchedule
  readonly overlap: OverlapRule
  /** Every fire time up to this one, itself included, has been dealt with. */
  readonly settledThrough: Date
  /** What the last fire time started has not ended. */
  readonly busy: boolean
}

/**
 * What to do at an instant. `scheduledFor` becomes the next `settledThrough`, whether it starts or is skipped; `missedSince` is
 * the first of older fire times that passed while nobody looked, and null where there are none.
 */
export type ScheduleDecision =
  | { readonly action: 'wait'; readonly until: Date }
  | { readonly action: 'start' | 'skip'; readonly scheduledFor: Date; readonly missedSince: Date | null }
  /** The overlap rule lets it wait; ask again when the work ends. */
  | { readonly action: 'hold'; readonly scheduledFor: Date }

/**
 * Decides what is due. However many fire times passed (the service was down, or the work took long), one start makes up for
 * all of them: it stands for the latest.
 * @throws ScheduleInputError when the schedule cannot be read.
 */
export function decideSchedule(state: ScheduleState, now: Date): ScheduleDecision {
  const scheduledFor = lastFireTimeWithin(state.schedule, state.settledThrough, now)
  const [first] = fireTimesAfter(state.schedule, state.settledThrough, 1)
  if (scheduledFor === null) return { action: 'wait', until: first! }
  if (state.busy && state.overlap === 'queue') return { action: 'hold', scheduledFor }
  return { action: state.busy ? 'skip' : 'start', scheduledFor, missedSince: first! < scheduledFor ? first! : null }
}
