/**
 * How much other processes computed while a sample was taken. Beside a busy core torch, ONNX Runtime and TensorFlow slow down by
 * different factors, so only quiet samples compare. Linux alone tells; elsewhere every sample counts as quiet.
 */
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

/** Milliseconds a clock tick of /proc, USER_HZ = 100 on every Linux that Node runs on. */
const TICK_MS = 10
/** A sample is quiet while others used less than this share of one core. */
const QUIET_SHARE = 0.08

export interface Sample {
  readonly ms: number
  /** Cores that other processes kept busy meanwhile. */
  readonly others: number
}

function ticksOf(path: string, fields: (text: string) => string[], picked: readonly number[]): number {
  try {
    const all = fields(readFileSync(path, 'latin1'))
    return TICK_MS * picked.reduce((sum, i) => sum + Number(all[i]), 0)
  } catch {
    return 0
  }
}

/** user, nice, system, irq, softirq, steal. */
const busyMs = (): number => ticksOf('/proc/stat', (text) => text.split('\n', 1)[0]!.split(/\s+/).slice(1), [0, 1, 2, 5, 6, 7])
/** utime and stime; the name in parentheses before them may hold anything. */
const ownMs = (pid: number): number =>
  ticksOf(`/proc/${pid}/stat`, (text) => text.slice(text.lastIndexOf(')') + 2).split(' '), [11, 12])

/** A sample of what `run` says it took, with what processes beside `pid` and this one did meanwhile. */
export async function sampled(pid: number, run: () => Promise<number>): Promise<Sample> {
  const begin = performance.now()
  const [busy, child, own] = [busyMs(), ownMs(pid), ownMs(process.pid)]
  const ms = await run()
  const others = busyMs() - busy - (ownMs(pid) - child) - (ownMs(process.pid) - own)
  return { ms, others: Math.max(0, others) / (performance.now() - begin) }
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export interface Summary {
  readonly medianMs: number
  readonly leastMs: number
  readonly quiet: number
  readonly of: number
}

/** Over the quiet samples; where there are fewer than three, over the three quietest. */
export function summaryOf(samples: readonly Sample[]): Summary {
  const quiet = samples.filter(({ others }) => others < QUIET_SHARE)
  const taken = quiet.length >= 3 ? quiet : [...samples].sort((a, b) => a.others - b.others).slice(0, 3)
  const times = taken.map(({ ms }) => ms)
  return { medianMs: median(times), leastMs: Math.min(...times), quiet: quiet.length, of: samples.length }
}
