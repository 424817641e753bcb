/** Grids: a large one, the same again, and small ones one after the other. */
import type { BenchLab } from './bench-lab.ts'
import { atMost, quantiles, type Row, timeMs } from './measure.ts'

/** `points` of one pretraining method with random weights, so that nothing is computed: seeds times label sets. */
export function gridOf(name: string, points: number, firstSeed = 1) {
  const labels = ['findings', 'view']
  return {
    name,
    preset: 'tiny-cpu',
    dataset: 'phantom',
    method: ['none'],
    seed: Array.from({ length: Math.ceil(points / labels.length) }, (_, i) => firstSeed + i),
    evaluations: [{ mode: ['linear-cached'], labels }],
  }
}

/** One point: a pack, random weights and one evaluation. */
export const smallGridOf = (name: string, seed: number) => ({
  ...gridOf(name, 1, seed),
  seed: [seed],
  evaluations: [{ mode: ['linear-cached'], labels: ['findings'] }],
})

export async function timeSubmissions({ api }: BenchLab): Promise<Row[]> {
  const large = gridOf('ten thousand', 10_000)
  const first = await timeMs(() => api.post('/v1/grids', large))
  const again = await timeMs(() => api.post('/v1/grids', large))
  const joined = await timeMs(() => api.post('/v1/grids', { ...large, name: 'ten thousand, joined' }))
  const single: number[] = []
  for (let i = 0; i < 220; i++) single.push(await timeMs(() => api.post('/v1/grids', smallGridOf(`single ${i}`, 20_000 + i))))
  return [
    atMost('POST of a grid of 10,000 points, durable', first, 3000),
    atMost('the very same request again', again, 1500),
    atMost('another grid that joins all of its runs', joined, 1500),
    // The first requests warm the server up.
    quantiles('single submit, durable', single.slice(20), 8, 40),
  ]
}
