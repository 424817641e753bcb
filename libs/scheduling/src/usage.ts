/** Device time used, forgotten with a half-life: what fair share compares. Pure. */

/** Device-seconds of one owner on one class of machines, summed up around one moment. */
export interface UsageBucket {
  readonly owner: string
  readonly resourceClass: string
  readonly seconds: number
  /** How long ago they were used, in seconds; negative counts as now. */
  readonly ageSeconds: number
}

/** Weight of what was used `ageSeconds` ago: 1 now, 1/2 after one half-life. */
export function decay(ageSeconds: number, halfLifeSeconds: number): number {
  return 2 ** (-Math.max(0, ageSeconds) / halfLifeSeconds)
}

/** Decayed device-seconds by owner, for one class. */
export function usageByOwner(
  buckets: readonly UsageBucket[],
  resourceClass: string,
  halfLifeSeconds: number,
): ReadonlyMap<string, number> {
  const usage = new Map<string, number>()
  for (const { owner, resourceClass: of, seconds, ageSeconds } of buckets) {
    if (of !== resourceClass) continue
    usage.set(owner, (usage.get(owner) ?? 0) + seconds * decay(ageSeconds, halfLifeSeconds))
  }
  return usage
}
