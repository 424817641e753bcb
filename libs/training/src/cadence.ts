/** When a periodic checkpoint is due: by time, and at epoch ends that lie at least `epochFloorMs` after the last one. */
export interface Cadence {
  readonly everyMs: number
  /** Short epochs must not spend their time on writing: below this gap an epoch end writes nothing. */
  readonly epochFloorMs: number
}

export function checkpointDue(cadence: Cadence, sinceLastMs: number, epochEnded: boolean): boolean {
  return sinceLastMs >= cadence.everyMs || (epochEnded && sinceLastMs >= cadence.epochFloorMs)
}
