/** One attempt's work by the kind of its run. */
import { encodeSafetensors, type ObjectStore, openObjectStore, putVerifiedArtifact, untilStored } from '#libs/artifacts'
import { dataSources, openPack, preparePack } from '#libs/datasets'
import { createExecutor, type Executor, resolveEngine } from '#libs/engine'
import type { EvaluateSpec, MsnPretrainSpec, PrepareSpec, PretrainSpec } from '#libs/experiments'
import type { Logger } from '#libs/telemetry'
import {
  type AssignmentMessage,
  commitRandomInit,
  evaluate,
  type LoopControl,
  msnLearner,
  pretrain,
  SpecError,
} from '#libs/training'
import type { Done } from './attempt-process.ts'
import { openCheckpoints, patience } from './checkpoints.ts'
import type { ChildConfig } from './child-config.ts'
import type { SupervisorLink } from './messages.ts'
import { pretrainedBackbone, upstreamRun } from './upstream.ts'

/** Below this gap the end of an epoch writes no checkpoint (docs/adr/0007). */
const EPOCH_FLOOR_MS = 60_000

/** About a minute: an address or a right that is wrong stays wrong, and the run's own budget has further attempts. */
const OPEN_TRIES = 7

interface Job {
  readonly assignment: AssignmentMessage
  readonly config: ChildConfig
  readonly store: ObjectStore
  readonly link: SupervisorLink
  readonly control: LoopControl
  readonly log: Logger
}

export async function runAssignment(
  assignment: AssignmentMessage,
  config: ChildConfig,
  link: SupervisorLink,
  log: Logger,
): Promise<Done> {
  const retry = { ...patience(link, log), maxTries: OPEN_TRIES }
  const store = await untilStored(() => openObjectStore(config.objectStoreUrl, config.objectStoreOptions), retry)
  const job: Job = {
    assignment,
    config,
    store,
    link,
    control: { stopRequested: link.stopRequested, now: () => performance.now() },
    log,
  }
  const { spec } = assignment
  switch (spec.kind) {
    case 'prepare':
      return prepare(job, spec)
    case 'pretrain':
      if (spec.method === 'none') return randomInit(job, spec)
      if (spec.method === 'msn') return pretrainMsn(job, spec)
      throw new SpecError(`method ${spec.method} cannot be run yet`, { field: 'method' })
    case 'evaluate':
      if (spec.mode === 'transfer') throw new SpecError('mode transfer cannot be run yet', { field: 'mode' })
      return evaluateRun(job, spec)
  }
}

async function prepare({ assignment, config, store, link, control }: Job, spec: PrepareSpec): Promise<Done> {
  const { dataset, runId, semantics } = assignment
  if (!dataset) throw new SpecError('a prepare run needs a data set', { field: 'dataset' })
  const { artifacts, summary } = await preparePack({
    store,
    runId,
    semantics,
    dataset,
    access: config.objectStoreOptions,
    spec,
    onProgress: (done, total) => link.progress(done, total, 'images'),
    stopRequested: control.stopRequested,
  })
  return { artifacts: [...artifacts], results: [], summary }
}

async function randomInit(job: Job, spec: Extract<PretrainSpec, { method: 'none' }>): Promise<Done> {
  const checkpoints = openCheckpoints(job)
  try {
    await commitRandomInit(spec, checkpoints.store)
    return { artifacts: await checkpoints.kept(), results: [], summary: { steps: 0 } }
  } finally {
    await checkpoints.close()
  }
}

/** Tells the supervisor which engine computes, and what its first step cost to trace, compile and load. */
function executorOf({ config, link, log }: Job): Executor {
  const { engine, reason } = resolveEngine(config.engine)
  log.info({ engine, reason, threads: config.engineThreads }, 'engine chosen')
  const executor = createExecutor(engine, { threads: config.engineThreads })
  let isFirst = true
  return {
    name: executor.name,
    load: async (step, state) => {
      const fromMs = performance.now()
      const session = await executor.load(step, state)
      if (isFirst)
        link.send({ type: 'engine', engine, threads: config.engineThreads, startUpMs: Math.round(performance.now() - fromMs) })
      isFirst = false
      return session
    },
  }
}

async function pretrainMsn(job: Job, spec: MsnPretrainSpec): Promise<Done> {
  const { assignment, store, config, link, control } = job
  const pack = await openPack(store, upstreamRun(assignment, 'prepare').runId, {
    semantics: assignment.semantics,
    memoryBudgetBytes: config.packCacheBytes,
  })
  const checkpoints = openCheckpoints(job)
  try {
    const source = await dataSources.pretrain(pack, spec)
    const summary = await pretrain({
      learner: msnLearner(spec),
      executor: executorOf(job),
      source,
      checkpoints: checkpoints.store,
      metrics: link,
      control,
      epochs: spec.epochs,
      cadence: { everyMs: assignment.checkpointEveryMs, epochFloorMs: EPOCH_FLOOR_MS },
      select: spec.selectCheckpoint,
      evaluable: (name) => name.startsWith('target.') || name.startsWith('online.') || name === 'prototypes',
    })
    return { artifacts: await checkpoints.kept(), results: [], summary: { ...summary } }
  } finally {
    await checkpoints.close()
    await pack.close()
  }
}

async function evaluateRun(job: Job, spec: EvaluateSpec): Promise<Done> {
  const { assignment, store, config, link, control } = job
  const { backbone, weights } = await pretrainedBackbone(store, assignment, spec)
  const pack = await openPack(store, upstreamRun(assignment, 'prepare').runId, {
    semantics: assignment.semantics,
    memoryBudgetBytes: config.packCacheBytes,
  })
  try {
    const source = await dataSources.evaluation(pack, spec, backbone.imagePx)
    const outcome = await evaluate({ spec, backbone, weights, executor: executorOf(job), source, metrics: link, control })
    const { test } = source
    const predictions = encodeSafetensors(
      {
        scores: { shape: [test.images, outcome.labels.length], data: outcome.scores },
        labels: { shape: [test.images, outcome.labels.length], data: test.labels },
        patients: { shape: [test.images], data: test.patients },
      },
      { labels: JSON.stringify(outcome.labels), samples: JSON.stringify(test.sampleKeys) },
    )
    const put = () => putVerifiedArtifact(store, assignment.runId, 'predictions.safetensors', predictions)
    const artifact = await untilStored(put, patience(link, job.log))
    return { artifacts: [artifact], results: [...outcome.results], summary: { ...outcome.summary } }
  } finally {
    await pack.close()
  }
}
