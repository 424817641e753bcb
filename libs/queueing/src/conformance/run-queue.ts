/** What every RunQueueFactory does, whatever server it stands on. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunConsumer, RunQueue, RunQueueFactory } from '#libs/runs'
import { QueueMessageError } from '../errors.ts'
import type { QueueUnderTest } from './queue-under-test.ts'
import { Recorder } from './recorder.ts'

const VICTIM = fileURLToPath(new URL('./victim.ts', import.meta.url))

const cpu = (attemptId: string, queuePriority = 10) => ({ attemptId, resourceClass: 'cpu', queuePriority })

/**
 * @param name of the server, for the titles
 * @param makeQueue a queue with a namespace of its own, one a test
 */
export function runQueueConformance(name: string, makeQueue: () => Promise<QueueUnderTest>): void {
  describe(`RunQueue on ${name}`, () => {
    let under: QueueUnderTest
    let factory: RunQueueFactory
    let queue: RunQueue
    let recorder: Recorder
    const victims: ChildProcess[] = []

    beforeEach(async () => {
      under = await makeQueue()
      factory = await under.factory('consumer')
      queue = factory.queue()
      recorder = new Recorder()
    })
    afterEach(async () => {
      recorder.releaseAll()
      for (const victim of victims.splice(0)) victim.kill('SIGKILL')
      await factory.close()
      await under.flush()
    })

    const consume = (concurrency = 1, into = recorder): Promise<RunConsumer> =>
      factory.consume({ resourceClass: 'cpu', concurrency, handle: into.handle, onError: into.onError })

    it('hands an attempt id to a consumer', async () => {
      await consume()
      await queue.add([cpu('a1')])
      await recorder.handled(1)
      expect(recorder.ids).toEqual(['a1'])
    })

    it('keeps one job an attempt while it waits', async () => {
      await queue.add([cpu('a1'), cpu('a1', 3)])
      await queue.add([cpu('a1'), cpu('a2')])
      expect(await queue.counts('cpu')).toEqual({ waiting: 2, active: 0 })
      await consume()
      await recorder.finished(2)
      expect(recorder.ids.toSorted()).toEqual(['a1', 'a2'])
    })

    it('keeps one job an attempt while it runs, and takes the id again afterwards', async () => {
      recorder.hold()
      await consume()
      await queue.add([cpu('a1')])
      await recorder.handled(1)
      await queue.add([cpu('a1')])
      expect(await queue.counts('cpu')).toEqual({ waiting: 0, active: 1 })
      recorder.releaseAll()
      await untilMissing(queue, 'a1')
      await queue.add([cpu('a1')])
      await recorder.handled(2)
      expect(recorder.ids).toEqual(['a1', 'a1'])
    })

    it('gives a job that waits another number, and leaves alone what is at work or gone', async () => {
      recorder.hold()
      await consume()
      await queue.add([cpu('at-work')])
      await recorder.handled(1)
      await queue.add([cpu('first', 5), cpu('second', 10), cpu('third', 15)])
      await queue.reprioritise([cpu('third', 1), cpu('first', 20), cpu('at-work', 1), cpu('nobody', 1)])
      recorder.releaseAll()
      await recorder.handled(4)
      expect(recorder.ids).toEqual(['at-work', 'third', 'second', 'first'])
    })

    it('runs lower numbers first, and equal ones in the order of their arrival', async () => {
      await queue.add([cpu('late', 100), cpu('middle-1', 5), cpu('first', 1)])
      await queue.add([cpu('middle-2', 5)])
      await consume()
      await recorder.handled(4)
      expect(recorder.ids).toEqual(['first', 'middle-1', 'middle-2', 'late'])
    })

    it('says which attempts have no job: never added, finished or lost, but not those that wait or run', async () => {
      recorder.hold()
      await consume()
      await queue.add([cpu('runs')])
      await recorder.handled(1)
      await queue.add([cpu('waits')])
      const asked = [cpu('runs'), cpu('waits'), cpu('never')]
      expect(await queue.missing(asked)).toEqual(['never'])
      recorder.releaseAll()
      await recorder.finished(2)
      await untilMissing(queue, 'waits')
      expect(await queue.missing(asked)).toEqual(['runs', 'waits', 'never'])
    })

    it('takes anew what the server lost', async () => {
      const lost = Array.from({ length: 250 }, (_, i) => cpu(`a${i}`))
      await queue.add(lost)
      expect(await queue.missing(lost)).toEqual([])
      await under.flush()
      expect(await queue.missing(lost)).toEqual(lost.map(({ attemptId }) => attemptId))
      await queue.add(lost)
      expect(await queue.counts('cpu')).toEqual({ waiting: 250, active: 0 })
    })

    it('runs as many handlers at once as it was told to', async () => {
      recorder.hold()
      await consume(2)
      await queue.add([cpu('a1'), cpu('a2'), cpu('a3')])
      await recorder.handled(2)
      expect(await queue.counts('cpu')).toEqual({ waiting: 1, active: 2 })
      recorder.releaseAll()
      await recorder.finished(3)
      expect(recorder.mostAtOnce).toBe(2)
    })

    it('goes on with the next job after a handler threw, and says what was thrown', async () => {
      recorder.failOn('a1', new Error('no database'))
      await consume()
      await queue.add([cpu('a1', 1), cpu('a2', 2)])
      await recorder.handled(2)
      expect(recorder.ids).toEqual(['a1', 'a2'])
      expect(recorder.errors.map(({ message }) => message)).toEqual(['no database'])
      await untilMissing(queue, 'a1')
    })

    it('drops a job that carries no attempt id, and goes on', async () => {
      await under.addRaw('nonsense-1', { attemptId: 7, patient: 'x' })
      await under.addRaw('nonsense-2', 'text')
      await consume()
      await queue.add([cpu('a1')])
      await recorder.handled(1)
      expect(recorder.ids).toEqual(['a1'])
    })

    it('refuses a message that it cannot carry, by field, and adds none of its call', async () => {
      for (const [field, message] of [
        ['attemptId', cpu('a:b')],
        ['attemptId', cpu('12')],
        ['queuePriority', cpu('a2', 0)],
        ['resourceClass', { ...cpu('a3'), resourceClass: 'CPU' }],
      ] as const) {
        const refusal = await queue.add([cpu('a1'), message]).catch((error: unknown) => error)
        expect(refusal).toBeInstanceOf(QueueMessageError)
        expect(refusal).toMatchObject({ code: 'queue-message', field })
      }
      expect(await queue.missing([cpu('a1')])).toEqual(['a1'])
    })

    it('keeps the resource classes apart', async () => {
      await consume()
      await queue.add([{ ...cpu('g1'), resourceClass: 'gpu' }, cpu('a1')])
      await recorder.finished(1)
      expect(await queue.counts('gpu')).toEqual({ waiting: 1, active: 0 })
      expect(recorder.ids).toEqual(['a1'])
      const gpu = new Recorder()
      await factory.consume({ resourceClass: 'gpu', concurrency: 1, handle: gpu.handle, onError: gpu.onError })
      await gpu.finished(1)
      expect(gpu.ids).toEqual(['g1'])
    })

    it('takes no job after pause, which does not wait for the one in hand', async () => {
      const paused = await consume()
      recorder.hold()
      await queue.add([cpu('a0')])
      await recorder.handled(1)
      await paused.pause()
      recorder.releaseAll()
      const other = new Recorder()
      await queue.add(Array.from({ length: 20 }, (_, i) => cpu(`b${i}`)))
      await consume(1, other)
      await other.handled(20)
      expect(recorder.ids).toEqual(['a0'])
    })

    it('waits at close for the handlers in flight', async () => {
      recorder.hold()
      const consumer = await consume()
      await queue.add([cpu('a1')])
      await recorder.handled(1)
      const closed = consumer.close().then(() => recorder.running)
      recorder.releaseAll()
      expect(await closed).toBe(0)
    })

    it('hands on the job of a consumer process that was killed', async () => {
      const victim = fork(VICTIM, [under.url, under.namespace], {
        execArgv: ['--import', 'tsx'],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      })
      victims.push(victim)
      await queue.add([cpu('a1')])
      expect((await once(victim, 'message'))[0]).toEqual({ taken: 'a1' })
      const gone = once(victim, 'exit')
      victim.kill('SIGKILL')
      await gone
      expect(await queue.missing([cpu('a1')])).toEqual([])
      await consume()
      await recorder.handled(1)
      expect(recorder.ids).toEqual(['a1'])
    })

    it('does not let a producer consume', async () => {
      const producer = await under.factory('producer')
      await expect(
        producer.consume({ resourceClass: 'cpu', concurrency: 1, handle: recorder.handle, onError: recorder.onError }),
      ).rejects.toThrow('producer')
      await producer.close()
    })
  })
}

/** A handler's end and the removal of its job are two things: asks the server until the second has happened. */
async function untilMissing(queue: RunQueue, attemptId: string): Promise<void> {
  while ((await queue.missing([cpu(attemptId)])).length === 0) await new Promise(setImmediate)
}
