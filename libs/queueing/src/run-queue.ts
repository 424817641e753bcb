import type { OutboxMessage, RunQueue } from '#libs/runs'
import type { BackendQueue } from './backend.ts'
import { checkMessage, checkResourceClass } from './message.ts'

/** Jobs in one call to the server. */
const ADD_CHUNK = 1000
/** Questions in flight at once. */
const STATE_CHUNK = 50
/** States in which a job will still run, or runs. */
const LIVE_STATES: ReadonlySet<string> = new Set(['waiting', 'prioritized', 'delayed', 'active', 'paused'])

type Placed = Pick<OutboxMessage, 'attemptId' | 'resourceClass'>

/** Job id = attempt id, so that the server itself refuses the second job of an attempt. `open` is called once a class. */
export function createRunQueue(open: (resourceClass: string) => Promise<BackendQueue>): RunQueue {
  const queues = new Map<string, Promise<BackendQueue>>()
  const queueOf = (resourceClass: string): Promise<BackendQueue> => {
    const known = queues.get(resourceClass)
    if (known) return known
    const opening = open(resourceClass)
    queues.set(resourceClass, opening)
    opening.catch(() => queues.delete(resourceClass)) // The next call tries again.
    return opening
  }
  return {
    async add(messages) {
      for (const message of messages) checkMessage(message)
      for (const [resourceClass, ofClass] of byClass(messages)) {
        const queue = await queueOf(resourceClass)
        for (const chunk of chunksOf(ofClass, ADD_CHUNK)) await queue.addBulk(chunk.map(jobOf))
      }
    },
    async reprioritise(messages) {
      for (const message of messages) checkMessage(message)
      for (const [resourceClass, ofClass] of byClass(messages)) {
        const queue = await queueOf(resourceClass)
        for (const chunk of chunksOf(ofClass, STATE_CHUNK)) await Promise.all(chunk.map((message) => renumber(queue, message)))
      }
    },
    async missing(messages) {
      const missing: string[] = []
      for (const [resourceClass, ofClass] of byClass(messages)) {
        const queue = await queueOf(resourceClass)
        for (const chunk of chunksOf(ofClass, STATE_CHUNK)) {
          const states = await Promise.all(chunk.map(({ attemptId }) => queue.getJobState(attemptId)))
          missing.push(...chunk.filter((_, i) => !LIVE_STATES.has(states[i]!)).map(({ attemptId }) => attemptId))
        }
      }
      return missing
    },
    async counts(resourceClass) {
      checkResourceClass(resourceClass)
      const queue = await queueOf(resourceClass)
      const counts = await queue.getJobCounts('wait', 'prioritized', 'delayed', 'active')
      const { wait = 0, prioritized = 0, delayed = 0, active = 0 } = counts
      return { waiting: wait + prioritized + delayed, active }
    },
    async close() {
      const opened = await Promise.allSettled(queues.values())
      queues.clear()
      await Promise.all(opened.map((result) => (result.status === 'fulfilled' ? result.value.close() : undefined)))
    },
  }
}

async function renumber(queue: BackendQueue, { attemptId, queuePriority }: Pick<OutboxMessage, 'attemptId' | 'queuePriority'>) {
  const job = await queue.getJob(attemptId)
  try {
    await job?.changePriority({ priority: queuePriority })
  } catch (error) {
    // A worker took it between the two calls, and it is done: there is nothing left to put in order.
    if ((await queue.getJobState(attemptId)) !== 'unknown') throw error
  }
}

function jobOf({ attemptId, queuePriority }: Pick<OutboxMessage, 'attemptId' | 'queuePriority'>) {
  return { name: 'attempt', data: { attemptId }, opts: { jobId: attemptId, priority: queuePriority } }
}

function byClass<M extends Placed>(messages: readonly M[]): Map<string, M[]> {
  const classes = new Map<string, M[]>()
  for (const message of messages) {
    const ofClass = classes.get(message.resourceClass)
    if (ofClass) ofClass.push(message)
    else classes.set(message.resourceClass, [message])
  }
  return classes
}

function* chunksOf<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}
