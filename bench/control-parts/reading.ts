/** What people and Prometheus read of a lab with 100,000 runs. */
import { z } from 'zod'
import type { BenchLab } from './bench-lab.ts'
import { atMost, quantiles, type Row, timeMs } from './measure.ts'
import { gridOf } from './submissions.ts'

const pageSchema = z.looseObject({ nextCursor: z.string().nullable() })
const submittedSchema = z.looseObject({ gridId: z.string() })

const SCRAPES = 40
/** Pages of 100; every tenth of a long walk is a sample, so that late pages are among them. */
const PAGES = 300

export async function timeScrape({ api, db }: BenchLab): Promise<Row[]> {
  const [runs] = await db.rows<{ count: number }>('SELECT count(*)::int AS count FROM run')
  const samples: number[] = []
  let body = ''
  for (let i = 0; i < SCRAPES; i++) {
    samples.push(
      await timeMs(async () => {
        body = await api.text('/metrics')
      }),
    )
  }
  const series = body.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
  return [
    quantiles(`/metrics with ${runs?.count} runs`, samples.slice(5), 50, 50),
    atMost('its series', series, 2000, (value) => value.toFixed(0)),
  ]
}

export async function timePages({ api, db }: BenchLab): Promise<Row[]> {
  let largest = ''
  for (let i = 0; i < 5; i++) {
    const grid = await api.post('/v1/grids', gridOf(`page ${i}`, 14_000, 100_000 + i * 10_000))
    largest = submittedSchema.parse(grid).gridId
  }
  const [runs] = await db.rows<{ count: number }>('SELECT count(*)::int AS count FROM run')
  await db.rows('VACUUM ANALYZE')
  const list = await walk(api, '/v1/runs?limit=100')
  const filtered = await walk(api, `/v1/runs?grid=${largest}&kind=evaluate&limit=100`)
  const ledger = await walk(api, `/v1/grids/${largest}/points?limit=100`)
  return [
    quantiles(`list of ${runs?.count} runs, pages of 100`, list, 30, 30),
    quantiles('list of the evaluations of one grid', filtered, 30, 30),
    quantiles('ledger of a grid of 14,000 points', ledger, 30, 30),
  ]
}

/** Milliseconds of each page, from the first on. */
async function walk(api: BenchLab['api'], path: string): Promise<number[]> {
  const samples: number[] = []
  let cursor: string | null = null
  for (let page = 0; page < PAGES; page++) {
    const address: string = cursor === null ? path : `${path}&cursor=${encodeURIComponent(cursor)}`
    let answer: unknown
    const took = await timeMs(async () => {
      answer = await api.get(address)
    })
    if (page >= 5) samples.push(took)
    cursor = pageSchema.parse(answer).nextCursor
    if (cursor === null) break
  }
  return samples
}
