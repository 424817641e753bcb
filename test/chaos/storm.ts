/** A grid from its submission to its end, undisturbed or under a plan of faults. */
import { setTimeout as delay } from 'node:timers/promises'
import { FAULTS, type FaultKind } from './faults.ts'
import { submit } from './grid.ts'
import { type Lab, registerPhantom } from './lab.ts'
import type { Observation } from './observation.ts'
import type { Random } from './random.ts'

export interface Storm {
  readonly runs: number
  readonly plan: readonly FaultKind[]
  readonly random: Random
  readonly say: (line: string) => void
  /** The grid must have ended within this time: a fault that blocks it for ever must not block the harness. */
  readonly withinMs: number
}

export interface Weathered {
  readonly runs: number
  readonly fired: Readonly<Partial<Record<FaultKind, number>>>
  readonly seconds: number
}

/** The last fault is due at this share of the work: while one is under way the rest of the grid goes on. */
const LAST_FAULT_AT = 0.8

/** How much of the grid was ever done: the highest progress of each run, a killed one's included, so that it only rises. */
function createProgress() {
  const highest = new Map<string, number>()
  return ({ runs }: Observation): number => {
    for (const { id, progress } of runs) highest.set(id, Math.max(progress, highest.get(id) ?? 0))
    return [...highest.values()].reduce((sum, share) => sum + share, 0) / Math.max(1, highest.size)
  }
}

/** @throws Error where the grid does not end in time */
export async function weather(lab: Lab, { runs, plan, random, say, withinMs }: Storm): Promise<Weathered> {
  const fromMs = performance.now()
  await registerPhantom(lab)
  await submit(lab, runs)
  const fired: Partial<Record<FaultKind, number>> = {}
  const progressOf = createProgress()
  let next = 0
  let seen = await lab.db.observe()
  while (!seen.ended) {
    // Faults are spread over the work, not over time: the next one is due when its share of the work was done once.
    const isDue = progressOf(seen) >= (LAST_FAULT_AT * next) / plan.length && next < plan.length
    const kind = plan[next]!
    if (isDue && (await FAULTS[kind].fire({ lab, seen, random, runs }))) {
      next++
      fired[kind] = (fired[kind] ?? 0) + 1
      say(`fault ${next} of ${plan.length}: ${kind}`)
    } else await delay(50)
    if (performance.now() - fromMs > withinMs) throw new Error(`the grid did not end within ${withinMs / 1000} s: ${stuck(seen)}`)
    seen = await lab.db.observe()
  }
  return { runs: seen.runs.length, fired, seconds: (performance.now() - fromMs) / 1000 }
}

function stuck({ runs, attempts }: Observation): string {
  const open = runs
    .filter(({ state }) => state !== 'succeeded')
    .map(({ id, kind, state }) => `${kind} ${id.slice(0, 8)} ${state}`)
  return `${open.join(', ')}; attempts: ${attempts.map(({ id, state }) => `${id.slice(0, 8)} ${state}`).join(', ')}`
}
