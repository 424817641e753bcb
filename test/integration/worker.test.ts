import { afterEach, describe, expect, it } from 'vitest'
import type { SupervisorOptions } from '../../apps/worker/src/supervisor.ts'
import { assignmentOf, startWorker, type WorkerUnderTest } from './fixtures/worker-under-test.ts'

const workers: WorkerUnderTest[] = []
afterEach(async () => {
  for (const { supervisor, registry } of workers.splice(0)) {
    const stopped = supervisor.stop()
    supervisor.kill()
    await stopped
    registry.close()
  }
})

async function worker(script: string, overrides: Partial<SupervisorOptions> = {}): Promise<WorkerUnderTest> {
  const started = await startWorker(script, overrides)
  workers.push(started)
  started.store.add(assignmentOf('a1'))
  return started
}

/** Delivers the attempt and gives what the store was told at its end. */
async function endOf({ store, queue }: WorkerUnderTest) {
  await queue.deliver('a1')
  return store.result('a1')
}

function pointsWritten({ store }: WorkerUnderTest): number {
  return store.calls.reduce((sum, call) => sum + (call.name === 'metrics' ? call.points : 0), 0)
}

describe('an attempt', () => {
  it('runs in a child and ends with its results, after everything that the child said', async () => {
    const under = await worker('succeed')
    expect(await endOf(under)).toMatchObject({
      ending: 'succeeded',
      message: null,
      summary: { steps: 2 },
      artifacts: [{ sizeBytes: 12 }],
    })
    const names = under.store.calls.map(({ name }) => name).filter((name) => name !== 'heartbeat')
    expect(names[0]).toBe('lease')
    expect(names[1]).toBe('start')
    expect(names.at(-1)).toBe('end')
    expect(names).toContain('checkpoint')
    expect(pointsWritten(under)).toBe(4)
    const progress = under.store.calls.filter((call) => call.name === 'progress')
    expect(progress.at(-1)).toMatchObject({ done: 16, total: 16, unit: 'images' })
    const exposed = await under.registry.expose()
    expect(exposed).toContain('cxrlab_attempts_total{kind="pretrain",ending="succeeded"} 1')
    expect(exposed).toContain('cxrlab_images_total{method="none"} 8')
    expect(exposed).toContain('cxrlab_loss{method="none"} 6.5')
    expect(exposed).toContain('cxrlab_step_duration_seconds_count{method="none",backbone="vit-tiny"} 2')
  })

  it('gives the child neither the database nor the queue, only the environment of its program', async () => {
    const result = await endOf(await worker('environment'))
    const names = String(result?.summary.names).split(' ')
    expect(names).toContain('SCRIPT')
    expect(names.filter((name) => !/^(PATH|SCRIPT|NODE_CHANNEL_.*|__.*)$/.test(name))).toEqual([])
  })

  it('loses nothing of what the child said last', async () => {
    const under = await worker('burst')
    expect(await endOf(under)).toMatchObject({ ending: 'succeeded' })
    expect(pointsWritten(under)).toBe(40_000)
  })

  it('is dropped where it does not wait any more: no second child for a duplicate message', async () => {
    const under = await worker('succeed')
    await under.queue.deliver('a1')
    await under.queue.deliver('a1')
    await under.queue.deliver('unknown')
    expect(under.store.calls.filter(({ name }) => name === 'end')).toHaveLength(1)
    expect(under.queue.errors).toEqual([])
  })

  it.each([
    ['spec-error', 'spec-error', 'labels.csv:7: no such label'],
    ['crash', 'crashed', 'the process ended with code 1'],
    ['done-then-crash', 'crashed', 'the process reported a result and then ended with code 1'],
    ['nonsense', 'crashed', 'the process sent a message that is not part of the protocol'],
    ['out-of-memory', 'out-of-memory', 'the process ran out of memory'],
    ['killed-by-system', 'crashed', 'killed (SIGKILL) from outside'],
  ])('whose child does `%s` ends as %s and says why', async (script, ending, message) => {
    expect(await endOf(await worker(script))).toMatchObject({ ending, message, artifacts: [], results: [] })
  })

  it('leaves the stack of a crashed child in the log, not in the database', async () => {
    const under = await worker('crash')
    const result = await endOf(under)
    expect(JSON.stringify(result)).not.toContain('child.ts:12')
    const ended = under.log().find(({ msg }) => msg === 'attempt ended')
    expect(ended).toMatchObject({ attempt_id: 'a1', stderr: 'TypeError: at child.ts:12', code: 1 })
  })

  it('whose child falls silent is killed and counts as crashed', async () => {
    const under = await worker('hang', { stallMs: 1500 })
    expect(await endOf(under)).toMatchObject({ ending: 'crashed', message: expect.stringContaining('no sign of life') })
  })

  it('whose child cannot be started ends as crashed', async () => {
    const under = await worker('succeed', { program: { entry: '/nowhere/child.ts', environment: {} } })
    expect(await endOf(under)).toMatchObject({ ending: 'crashed' })
  })

  it('that this worker may not run ends as spec-error without a child', async () => {
    const under = await worker('succeed', { datasetRoots: ['/data/public'] })
    const dataset = { name: 'nih', kind: 'nih14', root: '/data/public-not/nih', fingerprint: 'f', createdAt: new Date(0) }
    const spec = { kind: 'prepare' } as never
    under.store.add(assignmentOf('a2', { spec, dataset: dataset as never }))
    await under.queue.deliver('a2')
    expect(under.store.result('a2')).toMatchObject({ ending: 'spec-error', message: expect.stringContaining('DATASET_ROOTS') })
    expect(under.log().filter(({ msg }) => String(msg).includes('child started'))).toEqual([])
  })
})

describe('a database that is away for a while', () => {
  it('loses nothing: writes are tried again', async () => {
    const under = await worker('succeed', { heartbeatMs: 20_000 })
    under.store.failing = 4
    expect(await endOf(under)).toMatchObject({ ending: 'succeeded' })
    expect(pointsWritten(under)).toBe(4)
    expect(under.store.calls.some(({ name }) => name === 'checkpoint')).toBe(true)
  })
})

describe('a database that refuses a value', () => {
  it('ends the attempt as crashed instead of asking for ever', async () => {
    const under = await worker('succeed')
    const end = under.store.end.bind(under.store)
    const refusal = Object.assign(new Error('Raw query failed'), {
      meta: { driverAdapterError: { cause: { originalCode: '22003' } } },
    })
    under.store.end = async (ref, result) => {
      if (result.ending === 'succeeded') throw refusal
      return end(ref, result)
    }
    expect(await endOf(under)).toMatchObject({ ending: 'crashed', message: 'the database refused a value of the result' })
  })
})

describe('the lease', () => {
  it('is kept by heartbeats while the child runs', async () => {
    const under = await worker('hang', { cancelDeadlines: { terminateAfterMs: 10, killAfterMs: 5000 } })
    const handled = under.queue.deliver('a1')
    await under.store.called('start')
    await under.store.nextCall('heartbeat')
    await under.store.nextCall('heartbeat')
    under.store.desire('a1', 'cancel')
    await handled
  })

  it('once taken away, kills the child, and nothing more is written', async () => {
    const under = await worker('stubborn')
    const handled = under.queue.deliver('a1')
    await under.store.called('start')
    under.store.takeAway('a1')
    await handled
    expect(under.store.result('a1')).toBeUndefined()
    expect(await under.registry.expose()).toContain('cxrlab_attempts_total{kind="pretrain",ending="lost"} 1')
  })

  it('that ends with its attempt is not lost: a heartbeat that crosses the end on the way does not count', async () => {
    const under = await worker('succeed')
    const end = under.store.end.bind(under.store)
    under.store.end = async (ref, result) => {
      const ended = await end(ref, result)
      await under.store.nextCall('heartbeat')
      await new Promise(setImmediate)
      return ended
    }
    await under.queue.deliver('a1')
    expect(await under.registry.expose()).toContain('cxrlab_attempts_total{kind="pretrain",ending="succeeded"} 1')
    expect(under.log().filter(({ msg }) => msg === 'lease lost')).toEqual([])
  })

  it('counts as lost when the database could not be asked for its whole length', async () => {
    const under = await worker('stubborn', { leaseMs: 1500 })
    const handled = under.queue.deliver('a1')
    await under.store.called('start')
    under.store.failing = Number.POSITIVE_INFINITY
    await handled
    expect(under.log().find(({ msg }) => msg === 'lease lost')).toMatchObject({ why: 'expired' })
    expect(under.store.result('a1')).toBeUndefined()
  })
})

describe('a request to stop', () => {
  async function running(script: string, overrides: Partial<SupervisorOptions> = {}) {
    const under = await worker(script, overrides)
    const handled = under.queue.deliver('a1')
    await under.store.called('start')
    return { under, handled }
  }

  it('to pause lets the child checkpoint first', async () => {
    const { under, handled } = await running('cooperative')
    under.store.desire('a1', 'pause')
    await handled
    expect(under.store.calls).toContainEqual({ name: 'checkpoint', attemptId: 'a1', step: 5, role: 'periodic' })
    expect(under.store.result('a1')).toMatchObject({ ending: 'paused' })
  })

  it('is heard at once where it was announced, long before the next heartbeat', async () => {
    const { under, handled } = await running('cooperative', { heartbeatMs: 3_600_000 })
    under.store.desire('a1', 'cancel')
    await handled
    expect(under.store.result('a1')).toMatchObject({ ending: 'cancelled' })
  })

  it.each(['deaf', 'stubborn'])('to cancel ends a %s child by force', async (script) => {
    const { under, handled } = await running(script, { cancelDeadlines: { terminateAfterMs: 50, killAfterMs: 300 } })
    under.store.desire('a1', 'cancel')
    await handled
    expect(under.store.result('a1')).toMatchObject({ ending: 'cancelled' })
    expect(under.log().find(({ msg }) => msg === 'attempt ended')).toMatchObject({
      signal: script === 'deaf' ? 'SIGTERM' : 'SIGKILL',
    })
  })

  it('that is a shutdown checkpoints and ends every attempt as preempted', async () => {
    const { under, handled } = await running('cooperative')
    under.store.add(assignmentOf('a2'))
    const other = under.queue.deliver('a2')
    await under.store.called('start', 'a2')
    await under.supervisor.stop()
    await Promise.all([handled, other])
    expect(under.store.result('a1')).toMatchObject({
      ending: 'preempted',
      message: expect.stringContaining('goes on from what is committed'),
    })
    expect(under.store.result('a2')).toMatchObject({ ending: 'preempted' })
  })

  it('that is a shutdown kills a child that does not hear, inside the grace period', async () => {
    const { under, handled } = await running('stubborn', { graceMs: 500 })
    await under.supervisor.stop()
    await handled
    expect(under.store.result('a1')).toMatchObject({ ending: 'preempted', message: expect.stringContaining('last checkpoint') })
  })

  it('a second time kills at once', async () => {
    const { under, handled } = await running('stubborn')
    const stopped = under.supervisor.stop()
    under.supervisor.kill()
    await Promise.all([stopped, handled])
    expect(under.store.result('a1')).toMatchObject({ ending: 'preempted' })
  })

  it('takes no attempt any more', async () => {
    const { under, handled } = await running('cooperative')
    await under.supervisor.stop()
    await handled
    await expect(under.queue.deliver('a1')).rejects.toThrow('nobody consumes')
  })
})

describe('a spare child', () => {
  const started = (under: WorkerUnderTest) => under.log().filter(({ msg }) => msg === 'attempt leased, child started')

  it('takes the next attempt, does that one alone, and is replaced', async () => {
    const under = await worker('succeed', { spareChildren: 1 })
    under.store.add(assignmentOf('a2'))
    await under.queue.deliver('a1')
    await under.queue.deliver('a2')
    expect([under.store.result('a1'), under.store.result('a2')]).toMatchObject([{ ending: 'succeeded' }, { ending: 'succeeded' }])
    const [first, second] = started(under).map(({ child_pid }) => child_pid)
    expect(first).not.toBe(second)
    expect(under.log().filter(({ msg }) => msg === 'a spare child ended before it had work')).toEqual([])
  })

  it('that died before it had work is not made again for ever; the attempt gets a fresh one', async () => {
    const under = await worker('succeed', { spareChildren: 1, program: { entry: '/nowhere/child.ts', environment: {} } })
    while (!under.log().some(({ msg }) => msg === 'a spare child ended before it had work')) await new Promise(setImmediate)
    expect(await endOf(under)).toMatchObject({ ending: 'crashed' })
  })
})

describe('a worker whose accelerator failed', () => {
  it('takes no more work, and says so in its row, its metrics and its log', async () => {
    const under = await worker('gpu-lost')
    expect(await endOf(under)).toMatchObject({ ending: 'crashed', message: expect.stringContaining('takes no more work') })
    const reason = 'the GPU driver reported a fault (Xid)'
    expect(under.store.workers.at(-1)).toMatchObject({ draining: reason })
    expect(await under.registry.expose()).toContain('cxrlab_worker_draining 1')
    expect(under.log().find(({ msg }) => String(msg).startsWith('worker drains'))).toMatchObject({ reason })
    under.store.add(assignmentOf('a2'))
    await expect(under.queue.deliver('a2')).rejects.toThrow('nobody consumes')
  })
})

describe('an idle worker', () => {
  it('says so once nothing came for a while', async () => {
    const idle = await new Promise((resolve, reject) => {
      worker('succeed', { idle: { afterMs: 10, onIdle: () => resolve('idle') } }).catch(reject)
    })
    expect(idle).toBe('idle')
  })

  it('announces itself again and again', async () => {
    const under = await worker('succeed')
    while (under.store.workers.length < 3) await new Promise(setImmediate)
    expect(new Set(under.store.workers.map(({ id }) => id))).toEqual(new Set(['worker-1']))
  })
})
