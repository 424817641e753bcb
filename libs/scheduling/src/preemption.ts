/** Who makes room for a more urgent attempt. Pure. */

export interface UrgentAttempt {
  readonly attemptId: string
  readonly priority: number
  /** How long it has been first in line without being taken. */
  readonly waitedMs: number
}

export interface RunningAttempt {
  readonly attemptId: string
  readonly runId: string
  readonly priority: number
  /** Since its lease. */
  readonly heldMs: number
  /** Device time since its last checkpoint, which it would do again. */
  readonly sinceCheckpointMs: number
  /** It was asked to stop already: its place will be free. */
  readonly leaving: boolean
}

export interface PreemptionOptions {
  /** An urgent attempt waits this long before anybody has to go. */
  readonly afterMs: number
  /** Nobody goes before: what never gets to its first checkpoint would never end. */
  readonly minHeldMs: number
  /** Places of workers that nobody uses. */
  readonly freeSlots: number
}

/**
 * One victim an urgent attempt: of those with a lower priority the one that loses the least work. Places that are or will be free
 * count for the most urgent first. An attempt of equal priority never has to go, so two can not oust each other in turn.
 */
export function chooseVictims(
  urgent: readonly UrgentAttempt[],
  running: readonly RunningAttempt[],
  { afterMs, minHeldMs, freeSlots }: PreemptionOptions,
): readonly RunningAttempt[] {
  const coming = freeSlots + running.filter(({ leaving }) => leaving).length
  const waiting = urgent.toSorted((a, b) => b.priority - a.priority).slice(Math.max(0, coming))
  const candidates = running
    .filter(({ leaving, heldMs }) => !leaving && heldMs >= minHeldMs)
    .sort((a, b) => a.sinceCheckpointMs - b.sinceCheckpointMs || (a.attemptId < b.attemptId ? -1 : 1))
  const victims: RunningAttempt[] = []
  for (const { priority, waitedMs } of waiting) {
    if (waitedMs < afterMs) continue
    const at = candidates.findIndex((candidate) => candidate.priority < priority)
    if (at >= 0) victims.push(...candidates.splice(at, 1))
  }
  return victims
}
