/**
 * The faults. Each is aimed at what was just observed, fires, and resolves when the broken part serves again; false: there is
 * nothing to aim at now. What a fault waits for is a change that it sees in the database, never a time.
 */
import { chmod } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { submit } from './grid.ts'
import type { Lab } from './lab.ts'
import type { LiveAttempt, Observation } from './observation.ts'
import type { Random } from './random.ts'
import { openRawQueue } from './raw-queue.ts'
import type { Service } from './service.ts'

export interface Scene {
  readonly lab: Lab
  readonly seen: Observation
  readonly random: Random
  readonly runs: number
}

type Fire = (scene: Scene) => Promise<boolean>

/** Longest wait for a change that a fault needs to see. */
const PATIENCE_MS = 60_000

async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`waited ${PATIENCE_MS / 1000} s and did not see: ${what}`)
    await delay(25)
  }
}

const atWork = ({ attempts }: Observation) => attempts.filter(({ state }) => state !== 'waiting')

function signalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

function workerOf(lab: Lab, attempt: LiveAttempt): Service | undefined {
  return lab.services.workers.find(({ pid }) => pid !== undefined && pid === attempt.workerPid)
}

/** A worker that holds an attempt. */
function busyWorker({ lab, seen, random }: Scene): Service | undefined {
  const busy = atWork(seen).flatMap((attempt) => workerOf(lab, attempt) ?? [])
  return busy.length === 0 ? undefined : random.pick(busy)
}

function busyChild({ lab, seen, random }: Scene): { readonly attempt: LiveAttempt; readonly pid: number } | undefined {
  const children = atWork(seen).flatMap((attempt) => {
    const pid = lab.childOf(attempt.id)
    return pid === undefined ? [] : [{ attempt, pid }]
  })
  return children.length === 0 ? undefined : random.pick(children)
}

/** Until the attempt's lease was extended, or it ended. */
async function untilHeartbeat(lab: Lab, attemptId: string): Promise<void> {
  const lease = async () => {
    const [row] = await lab.db.rows<{ lease: string | null }>('SELECT lease_until::text AS lease FROM attempt WHERE id = $1', [
      attemptId,
    ])
    return row?.lease ?? null
  }
  const before = await lease()
  if (before !== null) await until(async () => (await lease()) !== before, 'a heartbeat or the end of an attempt')
}

const killChild: Fire = async (scene) => {
  const child = busyChild(scene)
  return child !== undefined && signalled(child.pid, 'SIGKILL')
}

/** The child of a live attempt stands still while its supervisor goes on; then it goes on too. */
const freezeChild: Fire = async (scene) => {
  const child = busyChild(scene)
  if (!child || !signalled(child.pid, 'SIGSTOP')) return false
  try {
    await untilHeartbeat(scene.lab, child.attempt.id)
  } finally {
    signalled(child.pid, 'SIGCONT')
  }
  return true
}

const endWorker =
  (signal: NodeJS.Signals): Fire =>
  async (scene) => {
    const worker = busyWorker(scene)
    if (!worker) return false
    await worker.replace(signal)
    return true
  }

/** The worker wakes only after its leases ran out and others may hold its runs: nothing that it says then may count. */
const freezeWorker: Fire = async (scene) => {
  const worker = busyWorker(scene)
  const pid = worker?.pid
  if (!worker || pid === undefined || !worker.signal('SIGSTOP')) return false
  try {
    await until(
      async () => (await scene.lab.db.observe()).attempts.every(({ workerPid }) => workerPid !== pid),
      'the end of a frozen worker’s leases',
    )
  } finally {
    worker.signal('SIGCONT')
  }
  return true
}

/** The worker runs on and reaches neither Postgres nor queue until its leases ran out; then it hears everything late, or nothing. */
const partWorker: Fire = async (scene) => {
  const { lab, random } = scene
  const worker = busyWorker(scene)
  const pid = worker?.pid
  if (!worker || pid === undefined) return false
  const wires = lab.wires.get(worker.name) ?? []
  const how = random.pick(['cut', 'silent'] as const)
  for (const wire of wires) wire.part(how)
  try {
    await until(
      async () => (await lab.db.observe()).attempts.every(({ workerPid }) => workerPid !== pid),
      'the end of a cut off worker’s leases',
    )
  } finally {
    for (const wire of wires) wire.heal()
  }
  return true
}

const killScheduler: Fire = async ({ lab }) => {
  await lab.services.scheduler.replace('SIGKILL')
  return true
}

/** Afterwards the same request must find the same grid. */
const killApi: Fire = async ({ lab, runs }) => {
  await lab.services.api.replace('SIGKILL')
  const { created } = await submit(lab, runs)
  if (created) throw new Error('the same request made a second grid')
  return true
}

const killPostgres: Fire = async ({ lab }) => {
  await lab.postgres.crash()
  return true
}

const killRedis: Fire = async ({ lab }) => {
  await lab.redis?.crash()
  return lab.redis !== null
}

const flushRedis: Fire = async ({ lab }) => {
  await lab.redis?.flush()
  return lab.redis !== null
}

/** Nobody may enter the store's folder, for some heartbeats of an attempt. */
const closeStore: Fire = async (scene) => {
  const [attempt] = scene.random.shuffled(atWork(scene.seen))
  if (!attempt) return false
  await chmod(scene.lab.objects, 0o000)
  try {
    for (let beats = 0; beats < 3; beats++) await untilHeartbeat(scene.lab, attempt.id)
  } finally {
    await chmod(scene.lab.objects, 0o755)
  }
  return true
}

/** Each live attempt and some that ended, once more and under other names. */
const duplicateMessages: Fire = async ({ lab, seen, random }) => {
  if (seen.attempts.length === 0) return false
  const ended = await lab.db.rows<{ id: string }>(`SELECT id FROM attempt WHERE state = 'ended' ORDER BY id LIMIT 20`)
  const ids = [...seen.attempts, ...ended].map(({ id }) => id)
  const queue = await openRawQueue(lab.queueUrl)
  try {
    await queue.add(random.shuffled(ids).map((id) => ({ attemptId: id, jobId: `${id}.copy-${random.below(1e6)}`, priority: 1 })))
  } finally {
    await queue.close()
  }
  return true
}

/** All that waits is taken out and comes back in another order, whatever its priority was. */
const reorderMessages: Fire = async ({ lab, seen, random }) => {
  const waiting = seen.attempts.filter(({ state }) => state === 'waiting')
  if (waiting.length === 0) return false
  const queue = await openRawQueue(lab.queueUrl)
  try {
    await queue.drain()
    await queue.add(random.shuffled(waiting).map(({ id }) => ({ attemptId: id, jobId: id, priority: 1 + random.below(300) })))
  } finally {
    await queue.close()
  }
  return true
}

/** The queue forgets everything, on Postgres: what FLUSHALL does on Redis. */
const wipeQueue: Fire = async ({ lab }) => {
  if (lab.redis !== null) return false
  const queue = await openRawQueue(lab.queueUrl)
  try {
    await queue.wipe()
  } finally {
    await queue.close()
  }
  return true
}

export const FAULTS = {
  'child killed (-9)': { weight: 5, needs: 'any', fire: killChild },
  'child frozen': { weight: 2, needs: 'any', fire: freezeChild },
  'worker killed (-9)': { weight: 4, needs: 'any', fire: endWorker('SIGKILL') },
  'worker frozen past its lease': { weight: 2, needs: 'any', fire: freezeWorker },
  'worker evicted (SIGTERM)': { weight: 3, needs: 'any', fire: endWorker('SIGTERM') },
  'worker cut off past its lease': { weight: 2, needs: 'any', fire: partWorker },
  'scheduler killed (-9)': { weight: 2, needs: 'any', fire: killScheduler },
  'api killed (-9), same POST again': { weight: 2, needs: 'any', fire: killApi },
  'Postgres killed (-9)': { weight: 2, needs: 'any', fire: killPostgres },
  'Redis killed (-9), data lost': { weight: 2, needs: 'redis', fire: killRedis },
  'Redis FLUSHALL': { weight: 2, needs: 'redis', fire: flushRedis },
  'queue wiped': { weight: 2, needs: 'postgres-queue', fire: wipeQueue },
  'messages duplicated': { weight: 2, needs: 'any', fire: duplicateMessages },
  'messages reordered': { weight: 2, needs: 'any', fire: reorderMessages },
  'store unreachable': { weight: 2, needs: 'any', fire: closeStore },
} as const satisfies Readonly<
  Record<string, { readonly weight: number; readonly needs: 'any' | 'redis' | 'postgres-queue'; readonly fire: Fire }>
>
export type FaultKind = keyof typeof FAULTS

/** `count` faults drawn by weight; each kind that is possible comes once before any chance. */
export function drawPlan(count: number, random: Random, hasRedis: boolean): FaultKind[] {
  const kinds = (Object.keys(FAULTS) as FaultKind[]).filter((kind) => {
    const { needs } = FAULTS[kind]
    return needs === 'any' || (needs === 'redis') === hasRedis
  })
  const bag = kinds.flatMap((kind) => Array.from({ length: FAULTS[kind].weight }, () => kind))
  const first = random.shuffled(kinds).slice(0, count)
  const rest = Array.from({ length: count - first.length }, () => random.pick(bag))
  return random.shuffled([...first, ...rest])
}
