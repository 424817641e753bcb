/** One attempt's work by the kind of its run. */
import { openObjectStore, untilStored } from '#libs/artifacts'
import { dataSources, preparePack } from '#libs/datasets'
import type { ImportedSpec, PrepareSpec, RandomInitSpec, TrainedPretrainSpec } from '#libs/experiments'
import type { Logger } from '#libs/telemetry'
import { type AssignmentMessage, commitRandomInit, isEvaluable, learnerOf, pretrain, SpecError } from '#libs/training'
import { loadImported } from '#libs/weights'
import type { Done } from './attempt-process.ts'
import { openCheckpoints, patience } from './checkpoints.ts'
import type { ChildConfig } from './child-config.ts'
import { evaluateRun, transferRun } from './evaluation.ts'
import { executorOf } from './executor-of.ts'
import type { Job } from './job.ts'
import type { SupervisorLink } from './messages.ts'
import { openUpstreamPack } from './upstream.ts'

/** Below this gap the end of an epoch writes no checkpoint (docs/adr/0007). */
const EPOCH_FLOOR_MS = 60_000

/** About a minute: an address or a right that is wrong stays wrong, and the run's own budget has further attempts. */
const OPEN_TRIES = 7

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
      if (spec.method === 'imported') return importedWeights(job, spec)
      return pretrainRun(job, withMicroBatch(spec, assignment))
    case 'evaluate':
      return spec.mode === 'transfer'
        ? transferRun(job, withMicroBatch(spec, assignment))
        : evaluateRun(job, withMicroBatch(spec, assignment))
  }
}

/** After memory ran out the assignment asks for smaller pieces than the spec; results differ by rounding alone. */
function withMicroBatch<S extends { readonly microBatch: number | null }>(spec: S, { microBatch }: AssignmentMessage): S {
  return microBatch === null ? spec : { ...spec, microBatch }
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

async function randomInit(job: Job, spec: RandomInitSpec): Promise<Done> {
  const checkpoints = openCheckpoints(job)
  try {
    await commitRandomInit(spec, checkpoints.store)
    return { artifacts: await checkpoints.kept(), results: [], summary: { steps: 0 } }
  } finally {
    await checkpoints.close()
  }
}

/** The backbone of a file that was brought into the lab, as evaluations take it. */
async function importedWeights(job: Job, spec: ImportedSpec): Promise<Done> {
  const checkpoints = openCheckpoints(job)
  try {
    const tensors = await loadImported(job.store, spec)
    await checkpoints.store.save({ step: 0, meta: { method: 'imported', weights: spec.weights }, tensors }, 'final')
    return { artifacts: await checkpoints.kept(), results: [], summary: { steps: 0 } }
  } finally {
    await checkpoints.close()
  }
}

async function pretrainRun(job: Job, spec: TrainedPretrainSpec): Promise<Done> {
  const { assignment, link, control } = job
  const pack = await openUpstreamPack(job)
  const checkpoints = openCheckpoints(job)
  try {
    const source = await dataSources.pretrain(pack, spec)
    const summary = await pretrain({
      learner: learnerOf(spec),
      executor: executorOf(job, spec),
      source,
      checkpoints: checkpoints.store,
      metrics: link,
      control,
      epochs: spec.epochs,
      cadence: { everyMs: assignment.checkpointEveryMs, epochFloorMs: EPOCH_FLOOR_MS },
      select: spec.selectCheckpoint,
      evaluable: isEvaluable,
    })
    return { artifacts: await checkpoints.kept(), results: [], summary: { ...summary } }
  } finally {
    await checkpoints.close()
    await pack.close()
  }
}
