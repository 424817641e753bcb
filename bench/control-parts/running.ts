/** Runs on their way: from runnable to a child with its spec, what a whole life costs, and how soon another worker takes over. */
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import type { BenchLab } from './bench-lab.ts'
import { atMost, quantiles, type Row } from './measure.ts'
import { gridOf, smallGridOf } from './submissions.ts'

const submittedSchema = z.looseObject({ gridId: z.string() })
const PATIENCE_MS = 180_000

async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await delay(20)
  }
}

const ended = async ({ store }: BenchLab, gridId: string) => (await store.reader.grid(gridId))?.ended === true

/** Of each run the time from the row that made it runnable to its child's having the spec. */
const DISPATCH = `
  SELECT (r.summary->>'receivedAtMs')::float8 - extract(epoch FROM a.created_at) * 1000 AS "dispatchMs"
  FROM grid_run g JOIN run r ON r.id = g.run_id JOIN attempt a ON a.run_id = r.id
  WHERE g.grid_id = $1 AND r.kind = 'pretrain' AND a.ending = 'succeeded'`

export async function timeDispatch(lab: BenchLab): Promise<Row> {
  const samples: number[] = []
  // Evaluations wait for what is timed here; they are runs of the same kind for the queue, but their spare may not be there yet.
  for (let i = 0; i < 110; i++) {
    const { gridId } = submittedSchema.parse(await lab.api.post('/v1/grids', smallGridOf(`dispatch ${i}`, 40_000 + i)))
    await until(() => ended(lab, gridId), 'the end of a small grid')
    for (const { dispatchMs } of await lab.db.rows<{ dispatchMs: number }>(DISPATCH, [gridId])) samples.push(dispatchMs)
    // The next spare is forked meanwhile: with one that is not there a process start would be timed.
    await delay(250)
  }
  return quantiles('runnable -> child has its spec', samples.slice(10), 20, 80)
}

export async function timeLife(lab: BenchLab): Promise<Row> {
  const runs = 600
  const before = await lab.cpuSeconds()
  const { gridId } = submittedSchema.parse(await lab.api.post('/v1/grids', gridOf('lives', (runs * 2) / 3, 50_000)))
  await until(() => ended(lab, gridId), 'the end of 600 runs')
  const perRun = (1000 * ((await lab.cpuSeconds()) - before)) / runs
  return atMost(`control-plane CPU of a run’s whole life (${runs} runs)`, perRun, 9)
}

/** A worker dies without a word; with the default lease another one trains on. */
export async function timeFailover(lab: BenchLab): Promise<Row> {
  const workers = [await lab.startWorker(), await lab.startWorker()]
  const { gridId } = submittedSchema.parse(await lab.api.post('/v1/grids', smallGridOf('failover', 1_000_000)))
  const training = async (number: number) => {
    const [row] = await lab.db.rows<{ pid: string | null; progress: number | null }>(
      `SELECT split_part(a.worker_id, '-', 2) AS pid, r.progress_done AS progress FROM grid_run g JOIN run r ON r.id = g.run_id
       JOIN attempt a ON a.run_id = r.id WHERE g.grid_id = $1 AND a.number = $2 AND a.state = 'running' AND r.progress_done > 0`,
      [gridId, number],
    )
    return row
  }
  await until(async () => (await training(1)) !== undefined, 'a run that trains')
  const victim = Number((await training(1))?.pid)
  const from = performance.now()
  process.kill(victim, 'SIGKILL')
  await until(async () => (await training(2)) !== undefined, 'the run to train again')
  const took = performance.now() - from
  await lab.api.post(`/v1/grids/${gridId}/cancel`)
  for (const worker of workers) await worker.stop()
  return atMost('worker killed -> its run trains again (lease 45 s)', took / 1000, 60, (value) => `${value.toFixed(1)} s`)
}

/** Points of 256 runs at once, in batches as supervisors send them. */
export async function timeMetrics({ store, api }: BenchLab): Promise<Row> {
  const [runs, batches, pointsABatch] = [256, 8, 50]
  const grid = { ...gridOf('metrics', runs, 60_000), resourceClass: 'bench', evaluations: [{ mode: ['linear-cached'] }] }
  grid.seed = Array.from({ length: runs }, (_, i) => 60_000 + i)
  const { gridId } = submittedSchema.parse(await api.post('/v1/grids', grid))
  const worker = { id: 'bench-metrics', hostname: 'bench', resourceClass: 'bench', engine: 'none', version: '0', slots: runs }
  const refs = []
  const waiting = await store.scheduler.waitingAttempts(100_000)
  const pending = await store.scheduler.pendingOutbox(100_000)
  for (const { attemptId, resourceClass } of [...waiting, ...pending]) {
    if (resourceClass !== 'bench' || refs.length === runs) continue
    const assignment = await store.attempts.lease(attemptId, worker, 600_000)
    if (assignment && (await store.attempts.start(assignment))) refs.push(assignment)
  }
  if (refs.length < runs) throw new Error(`only ${refs.length} of ${runs} runs could be leased for the metrics benchmark`)
  const from = performance.now()
  await Promise.all(
    refs.map(async (ref) => {
      for (let batch = 0; batch < batches; batch++) {
        const points = Array.from({ length: pointsABatch }, (_, i) => ({
          step: batch * 10 + Math.floor(i / 5),
          name: ['loss', 'entropy', 'learningRate', 'gradientNorm', 'stepSeconds'][i % 5]!,
          value: i,
        }))
        if (!(await store.attempts.recordMetrics(ref, points))) throw new Error('points were refused')
      }
    }),
  )
  const perSecond = (runs * batches * pointsABatch) / ((performance.now() - from) / 1000)
  await api.post(`/v1/grids/${gridId}/cancel`)
  return {
    work: `metric points accepted durably, ${runs} runs`,
    measured: `${perSecond.toFixed(0)}/s`,
    bound: '>= 5000/s',
    holds: perSecond >= 5000,
  }
}
