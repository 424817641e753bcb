/**
 * Every metric of the service: name, unit (the name's suffix, base units only), help, labels, and who exposes it.
 * Labels are closed sets that the code names (kinds, states, methods, route patterns), never an id: the number of series must
 * not grow with the number of runs.
 */

export const SERVICES = ['api', 'scheduler', 'worker'] as const
export type ServiceName = (typeof SERVICES)[number]

export const METRIC_LABELS = ['backbone', 'class', 'ending', 'kind', 'method', 'route', 'state', 'statistic', 'status'] as const
export type MetricLabel = (typeof METRIC_LABELS)[number]

interface Definition {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly name: `cxrlab_${string}`
  readonly help: string
  readonly labels: readonly MetricLabel[]
  readonly services: readonly ServiceName[]
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[]
}

export const METRICS = {
  runs: {
    type: 'gauge',
    name: 'cxrlab_runs',
    help: 'Runs by kind and state, as the database counts them.',
    labels: ['kind', 'state'],
    services: ['api'],
  },
  queueAge: {
    type: 'gauge',
    name: 'cxrlab_queue_age_seconds',
    help: 'Age of the oldest run that waits for a worker; 0 when none waits.',
    labels: [],
    services: ['api'],
  },
  outboxRows: {
    type: 'gauge',
    name: 'cxrlab_outbox_rows',
    help: 'Attempts that were made runnable and not yet handed to the queue.',
    labels: [],
    services: ['api'],
  },
  outboxAge: {
    type: 'gauge',
    name: 'cxrlab_outbox_age_seconds',
    help: 'Age of the oldest row of the outbox; 0 when it is empty.',
    labels: [],
    services: ['api'],
  },
  workers: {
    type: 'gauge',
    name: 'cxrlab_workers',
    help: 'Workers seen within their lease, by resource class.',
    labels: ['class'],
    services: ['api'],
  },
  openAttempts: {
    type: 'gauge',
    name: 'cxrlab_open_attempts',
    help: 'Attempts that have not ended, by resource class: waiting (back-off over), leased or running.',
    labels: ['class', 'state'],
    services: ['api'],
  },
  recentEndings: {
    type: 'gauge',
    name: 'cxrlab_recent_attempts',
    help: 'Attempts that ended within the last 15 minutes, by ending, as the database counts them.',
    labels: ['ending'],
    services: ['api'],
  },
  checkpointAge: {
    type: 'gauge',
    name: 'cxrlab_checkpoint_age_seconds',
    help: 'Longest time that a pretraining run in progress has gone without a checkpoint; 0 when none runs.',
    labels: [],
    services: ['api'],
  },
  attempts: {
    type: 'counter',
    name: 'cxrlab_attempts_total',
    help: 'Attempts that ended on this worker, by kind of run and ending.',
    labels: ['kind', 'ending'],
    services: ['worker'],
  },
  stepDuration: {
    type: 'histogram',
    name: 'cxrlab_step_duration_seconds',
    help: 'Wall time of one training step, as the child process measured it.',
    labels: ['method', 'backbone'],
    services: ['worker'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  images: {
    type: 'counter',
    name: 'cxrlab_images_total',
    help: 'Images that training and evaluation went through on this worker.',
    labels: ['method'],
    services: ['worker'],
  },
  loss: {
    type: 'gauge',
    name: 'cxrlab_loss',
    help: 'Last training loss that a child of this worker reported.',
    labels: ['method'],
    services: ['worker'],
  },
  collapse: {
    type: 'gauge',
    name: 'cxrlab_collapse_ratio',
    help: 'Last signs of collapse of an MSN run on this worker: distinct prototypes chosen (falls), mean cosine of anchors (rises).',
    labels: ['statistic'],
    services: ['worker'],
  },
  draining: {
    type: 'gauge',
    name: 'cxrlab_worker_draining',
    help: '1 where this worker takes no more work because its accelerator failed; 0 otherwise.',
    labels: [],
    services: ['worker'],
  },
  droppedPoints: {
    type: 'counter',
    name: 'cxrlab_metric_points_dropped_total',
    help: 'Metric points that this worker dropped because the database was away for too long.',
    labels: [],
    services: ['worker'],
  },
  httpRequestDuration: {
    type: 'histogram',
    name: 'cxrlab_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer; route is the pattern, not the path.',
    labels: ['method', 'route', 'status'],
    services: ['api'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  },
  eventLoopLag: {
    type: 'gauge',
    name: 'cxrlab_event_loop_lag_seconds',
    help: 'Delay of the event loop since the last scrape: mean, p99 and max.',
    labels: ['statistic'],
    services: SERVICES,
  },
  cpu: {
    type: 'counter',
    name: 'cxrlab_process_cpu_seconds_total',
    help: 'User and system CPU time of this process.',
    labels: [],
    services: SERVICES,
  },
  residentMemory: {
    type: 'gauge',
    name: 'cxrlab_process_resident_memory_bytes',
    help: 'Resident memory of this process.',
    labels: [],
    services: SERVICES,
  },
  heapUsed: {
    type: 'gauge',
    name: 'cxrlab_process_heap_used_bytes',
    help: 'JavaScript heap in use.',
    labels: [],
    services: SERVICES,
  },
  diskSize: {
    type: 'gauge',
    name: 'cxrlab_disk_size_bytes',
    help: 'Size of the file system that holds the temporary files of this process.',
    labels: [],
    services: SERVICES,
  },
  diskFree: {
    type: 'gauge',
    name: 'cxrlab_disk_free_bytes',
    help: 'Space on the same file system that a process without privileges may still fill.',
    labels: [],
    services: SERVICES,
  },
  startTime: {
    type: 'gauge',
    name: 'cxrlab_process_start_time_seconds',
    help: 'Start of this process, seconds since 1970.',
    labels: [],
    services: SERVICES,
  },
} as const satisfies Record<string, Definition>

export type MetricKey = keyof typeof METRICS
