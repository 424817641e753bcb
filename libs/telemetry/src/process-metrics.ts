/** Measures of the process itself. prom-client's own defaults name gauges `_total`, which Prometheus' linter rejects. */
import { statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { MetricsOf } from './registry.ts'

/** How often the event loop's delay is sampled; the sampling interval itself is part of what the monitor records. */
const RESOLUTION_MS = 20
const NANOSECONDS = 1e9

export type ProcessMetrics = Pick<
  MetricsOf<'worker'>,
  'eventLoopLag' | 'cpu' | 'residentMemory' | 'heapUsed' | 'startTime' | 'diskSize' | 'diskFree'
>

export interface ProcessMeter {
  /** Writes the present values into the instruments; the event-loop window starts anew. */
  sample(): void
  stop(): void
}

export function meterProcess(metrics: ProcessMetrics): ProcessMeter {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  metrics.startTime.set(Math.round(performance.timeOrigin) / 1000)
  let countedCpuSeconds = 0
  return {
    sample() {
      const { user, system } = process.cpuUsage()
      const cpuSeconds = (user + system) / 1e6
      metrics.cpu.inc(cpuSeconds - countedCpuSeconds)
      countedCpuSeconds = cpuSeconds
      const memory = process.memoryUsage()
      metrics.residentMemory.set(memory.rss)
      metrics.heapUsed.set(memory.heapUsed)
      metrics.eventLoopLag.set({ statistic: 'mean' }, lagSeconds(delay.mean))
      metrics.eventLoopLag.set({ statistic: 'p99' }, lagSeconds(delay.percentile(99)))
      metrics.eventLoopLag.set({ statistic: 'max' }, lagSeconds(delay.max))
      delay.reset()
      // One call to the kernel, of local file systems: microseconds.
      const { bsize, blocks, bavail } = statfsSync(tmpdir())
      metrics.diskSize.set(blocks * bsize)
      metrics.diskFree.set(bavail * bsize)
    },
    stop: () => delay.disable(),
  }
}

// An empty window has a mean of NaN and a maximum of 0.
function lagSeconds(nanoseconds: number): number {
  const lag = nanoseconds / NANOSECONDS - RESOLUTION_MS / 1000
  return Number.isFinite(lag) ? Math.max(0, lag) : 0
}
