/**
 * npm run bench -- control [--queue postgres|redis|both]
 *
 * What the control plane costs: submissions, dispatch, CPU a run, metric points, /metrics, pages and failover, each beside its bound.
 * Api, scheduler and worker are processes of their own with ordinary settings; only the child computes nothing. Takes some minutes.
 */
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { findRedisServer } from '../libs/testkit/src/redis.ts'
import { type BenchLab, machine, startBenchLab } from './control-parts/bench-lab.ts'
import type { Row } from './control-parts/measure.ts'
import { timePages, timeScrape } from './control-parts/reading.ts'
import { timeDispatch, timeFailover, timeLife, timeMetrics } from './control-parts/running.ts'
import { timeSubmissions } from './control-parts/submissions.ts'

async function rowsOf(lab: BenchLab): Promise<Row[]> {
  const rows: Row[] = []
  const note = (what: string) => {
    for (const row of rows.slice(noted)) process.stderr.write(`  ${row.work}: ${row.measured} (${row.bound})\n`)
    noted = rows.length
    process.stderr.write(`${lab.queue}: ${what}\n`)
  }
  let noted = 0
  note('failover')
  rows.push(await timeFailover(lab))
  const worker = await lab.startWorker()
  note('dispatch')
  rows.push(await timeDispatch(lab))
  note('whole lives')
  rows.push(await timeLife(lab))
  await worker.stop()
  note('metric points')
  rows.push(await timeMetrics(lab))
  note('submissions')
  rows.push(...(await timeSubmissions(lab)))
  note('/metrics')
  rows.push(...(await timeScrape(lab)))
  note('pages')
  rows.push(...(await timePages(lab)))
  note('done')
  return rows
}

function print(queue: string, rows: readonly Row[]): void {
  const table = new Table({ head: ['work', 'measured', 'bound', ''], style: { head: [], border: [] } })
  for (const { work, measured, bound, holds } of rows) table.push([work, measured, bound, holds ? '' : 'missed'])
  console.log(`queue on ${queue}\n${table.toString()}`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { queue: { type: 'string', default: 'both' } } })
  const redis = values.queue === 'postgres' ? undefined : findRedisServer()
  if (values.queue === 'redis' && redis === undefined) throw new Error('there is no redis-server on the PATH')
  console.log(machine())
  const queues = [...(values.queue === 'redis' ? [] : [null]), ...(redis === undefined ? [] : [redis])]
  for (const program of queues) {
    const lab = await startBenchLab(program)
    try {
      print(lab.queue, await rowsOf(lab))
    } finally {
      await lab.stop()
    }
  }
}

await main()
