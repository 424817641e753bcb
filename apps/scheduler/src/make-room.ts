/** Preemption: asks workers to put aside what is least urgent and loses least, where something more urgent has waited. */
import type { PlanningStore } from '#libs/runs'
import { chooseVictims } from '#libs/scheduling'

export interface PreemptionTiming {
  /** What is more urgent waits this long for a free place. */
  readonly afterMs: number
  /** Nothing is put aside before it has had this long. */
  readonly minHeldMs: number
}

/** Gives how many were asked. */
export async function makeRoom(planning: PlanningStore, timing: PreemptionTiming): Promise<number> {
  const classes = await planning.crowded()
  const victims = classes.flatMap(({ urgent, running, freeSlots }) => chooseVictims(urgent, running, { ...timing, freeSlots }))
  return victims.length === 0 ? 0 : planning.preempt(victims.map(({ runId }) => runId))
}
