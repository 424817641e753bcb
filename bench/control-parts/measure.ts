/** Sums of samples for a table. */
export interface Row {
  readonly work: string
  readonly measured: string
  readonly bound: string
  readonly holds: boolean
}

export async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

/** The smallest sample that at least `share` of all do not exceed. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

export const ms = (value: number) => `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`

export function atMost(work: string, value: number, bound: number, show: (value: number) => string = ms): Row {
  return { work, measured: show(value), bound: `<= ${show(bound)}`, holds: value <= bound }
}

export function quantiles(work: string, samples: readonly number[], p50: number, p99: number): Row {
  const [half, tail] = [quantile(samples, 0.5), quantile(samples, 0.99)]
  return {
    work: `${work} (${samples.length} times)`,
    measured: `p50 ${ms(half)}, p99 ${ms(tail)}`,
    bound: `<= ${ms(p50)}, <= ${ms(p99)}`,
    holds: half <= p50 && tail <= p99,
  }
}
