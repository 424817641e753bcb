import { afterEach, describe, expect, it } from 'vitest'
import { METRIC_LABELS, METRICS } from './metric-definitions.ts'
import { createRegistry, type ServiceRegistry } from './registry.ts'

const opened: ServiceRegistry<'api' | 'worker' | 'scheduler'>[] = []
afterEach(() => {
  for (const registry of opened.splice(0)) registry.close()
})
function open<S extends 'api' | 'worker' | 'scheduler'>(service: S) {
  const registry = createRegistry(service)
  opened.push(registry as unknown as ServiceRegistry<'api' | 'worker' | 'scheduler'>)
  return registry
}

describe('METRICS', () => {
  const all = Object.values(METRICS)

  it('names each metric once', () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
  })

  it('ends counters, and nothing else, with _total', () => {
    for (const { name, type } of all) expect(name.endsWith('_total'), name).toBe(type === 'counter')
  })

  it('uses base units only', () => {
    for (const { name } of all) expect(name).not.toMatch(/_(ms|milliseconds|minutes|hours|kib|mib|megabytes|percent)(_|$)/)
  })

  it('labels with the closed list, in which no id occurs', () => {
    expect(METRIC_LABELS.filter((label) => /id$|run|attempt|grid|patient/.test(label))).toEqual([])
  })
})

describe('createRegistry', () => {
  it('exposes what a service recorded, in the text format', async () => {
    const { metrics, expose, contentType } = open('worker')
    metrics.attempts.inc({ kind: 'pretrain', ending: 'succeeded' })
    metrics.stepDuration.observe({ method: 'msn', backbone: 'vit-tiny' }, 0.4)
    metrics.loss.set({ method: 'msn' }, 6.9)
    const text = await expose()
    expect(contentType).toContain('text/plain')
    expect(text).toContain('cxrlab_attempts_total{kind="pretrain",ending="succeeded"} 1')
    expect(text).toContain('cxrlab_step_duration_seconds_bucket{le="0.5",method="msn",backbone="vit-tiny"} 1')
    expect(text).toContain('cxrlab_loss{method="msn"} 6.9')
  })

  it('leaves out the metrics of other services', async () => {
    const worker = await open('worker').expose()
    const scheduler = await open('scheduler').expose()
    expect(worker).not.toContain('cxrlab_outbox_rows')
    expect(scheduler).not.toContain('cxrlab_attempts_total')
    expect(scheduler).toContain('cxrlab_process_resident_memory_bytes')
  })

  it('measures its own process anew at each exposition, the CPU counter never falling', async () => {
    const { expose } = open('scheduler')
    const first = await cpuOf(expose)
    const before = process.cpuUsage().user
    while (process.cpuUsage().user - before < 2000);
    const second = await cpuOf(expose)
    expect(first).toBeGreaterThan(0)
    expect(second).toBeGreaterThan(first)
    expect(await expose()).toMatch(/^cxrlab_event_loop_lag_seconds\{statistic="max"\} \d/m)
  })

  it('keeps two registries of one process apart', async () => {
    const one = open('worker')
    const other = open('worker')
    one.metrics.images.inc({ method: 'msn' }, 8)
    expect(await other.expose()).not.toContain('cxrlab_images_total{')
  })

  it('refuses a label that its metric does not have', () => {
    const { metrics } = open('worker')
    expect(() => metrics.images.inc({ method: 'msn', run: 'f00d' } as never)).toThrow(/run/)
  })
})

async function cpuOf(expose: () => Promise<string>): Promise<number> {
  return Number(/^cxrlab_process_cpu_seconds_total (\S+)$/m.exec(await expose())?.[1])
}
