/** One attempt's work by the kind of its run. */
import { createCheckpointStore, encodeSafetensors, type ObjectStore, openObjectStore, putArtifact } from '#libs/artifacts'
import { dataSources, openPack, preparePack } from '#libs/datasets'
import { createExecutor, type Executor, resolveEngine } from '#libs/engine'
import type { EvaluateSpec, MsnPretrainSpec, PrepareSpec, PretrainSpec } from '#libs/experiments'
import type { Logger } from '#libs/telemetry'
import {
  type ArtifactRef,
  type AssignmentMessage,
  type CheckpointStore,
  commitRandomInit,
  evaluate,
  type FromChild,
  type LoopControl,
  msnLearner,
  pretrain,
  SpecError,
} from '#libs/training'
import type { ChildConfig } from './child-config.ts'
import type { SupervisorLink } from './messages.ts'
import { pretrainedBackbone, upstreamRun } from './upstream.ts'

export type Done = Omit<Extract<FromChild, { type: 'done' }>, 'type'>

/** Below this gap the end of an epoch writes no checkpoint (docs/adr/0007). */
const EPOCH_FLOOR_MS = 60_000

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
  const store = await openObjectStore(config.objectStoreUrl, config.objectStoreOptions)
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
      return spec.method === 'none' ? randomInit(job, spec) : pretrainMsn(job, spec)
    case 'evaluate':
      return evaluateRun(job, spec)
  }
}

async function prepare({ assignment, store, link, control }: Job, spec: PrepareSpec): Promise<Done> {
  const { dataset, runId, semantics } = assignment
  if (!dataset) throw new SpecError('a prepare run needs a data set', { field: 'dataset' })
  const { artifacts, summary } = await preparePack({
    store,
    runId,
    semantics,
    dataset,
    spec,
    onProgress: (done, total) => link.progress(done, total, 'images'),
    stopRequested: control.stopRequested,
  })
  return { artifacts: [...artifacts], results: [], summary }
}

/** A checkpoint store that tells the supervisor of each commit. */
function checkpointsOf({ assignment, store, link }: Job, committed: ArtifactRef[]): CheckpointStore {
  const checkpoints = createCheckpointStore(store, assignment.runId, assignment.semantics)
  return {
    latest: () => checkpoints.latest(),
    load: (role) => checkpoints.load(role),
    save: async (checkpoint, role) => {
      const artifact = await checkpoints.save(checkpoint, role)
      link.send({ type: 'checkpoint-committed', step: checkpoint.step, role, artifact })
      // Periodic checkpoints come and go; the run's artifacts are those that stay.
      if (role !== 'periodic') committed.push(artifact)
      return artifact
    },
  }
}

async function randomInit(job: Job, spec: Extract<PretrainSpec, { method: 'none' }>): Promise<Done> {
  const artifacts: ArtifactRef[] = []
  await commitRandomInit(spec, checkpointsOf(job, artifacts))
  return { artifacts, results: [], summary: { steps: 0 } }
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
  const artifacts: ArtifactRef[] = []
  try {
    const source = await dataSources.pretrain(pack, spec)
    const summary = await pretrain({
      learner: msnLearner(spec),
      executor: executorOf(job),
      source,
      checkpoints: checkpointsOf(job, artifacts),
      metrics: link,
      control,
      epochs: spec.epochs,
      cadence: { everyMs: assignment.checkpointEveryMs, epochFloorMs: EPOCH_FLOOR_MS },
      select: spec.selectCheckpoint,
      evaluable: (name) => name.startsWith('target.') || name.startsWith('online.') || name === 'prototypes',
    })
    return { artifacts, results: [], summary: { ...summary } }
  } finally {
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
    const artifact = await putArtifact(store, assignment.runId, 'predictions.safetensors', predictions)
    return { artifacts: [artifact], results: [...outcome.results], summary: { ...outcome.summary } }
  } finally {
    await pack.close()
  }
}
