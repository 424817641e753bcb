import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { METRICS, type MetricKey, type ServiceName } from './metric-definitions.ts'
import { meterProcess, type ProcessMetrics } from './process-metrics.ts'

type Definitions = typeof METRICS
type LabelsOf<K extends MetricKey> = Definitions[K]['labels'][number]

type InstrumentOf<K extends MetricKey> = Definitions[K]['type'] extends 'counter'
  ? Counter<LabelsOf<K>>
  : Definitions[K]['type'] extends 'histogram'
    ? Histogram<LabelsOf<K>>
    : Gauge<LabelsOf<K>>

/** The instruments of one service, by key of METRICS: a service cannot touch a metric that it does not expose. */
export type MetricsOf<S extends ServiceName> = {
  readonly [K in MetricKey as S extends Definitions[K]['services'][number] ? K : never]: InstrumentOf<K>
}

export interface ServiceRegistry<S extends ServiceName> {
  readonly metrics: MetricsOf<S>
  /** Value of the Content-Type header that goes with {@link expose}. */
  readonly contentType: string
  /** All metrics in Prometheus' text format. */
  expose(): Promise<string>
  /** Stops the event-loop monitor. */
  close(): void
}

/** A registry of its own (no process-wide state) with the metrics that METRICS gives to `service`. */
export function createRegistry<S extends ServiceName>(service: S): ServiceRegistry<S> {
  const registry = new Registry()
  const instruments: Record<string, unknown> = {}
  for (const [key, definition] of Object.entries(METRICS)) {
    if (!(definition.services as readonly ServiceName[]).includes(service)) continue
    instruments[key] = instrumentOf(key as MetricKey, registry)
  }
  // Every key that `S` exposes was made just above, from the same table that the type is made of.
  const metrics = instruments as MetricsOf<S>
  const meter = meterProcess(instruments as unknown as ProcessMetrics)
  return {
    metrics,
    contentType: registry.contentType,
    expose() {
      meter.sample()
      return registry.metrics()
    },
    close: () => meter.stop(),
  }
}

function instrumentOf(key: MetricKey, registry: Registry): Counter | Gauge | Histogram {
  const definition = METRICS[key]
  const options = { name: definition.name, help: definition.help, labelNames: [...definition.labels], registers: [registry] }
  switch (definition.type) {
    case 'counter':
      return new Counter(options)
    case 'gauge':
      return new Gauge(options)
    case 'histogram':
      return new Histogram({ ...options, buckets: [...definition.buckets] })
  }
}
