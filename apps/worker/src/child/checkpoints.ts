/** The checkpoints of the child's run: written by a thread, waited for where the store is away, each told to the supervisor. */
import { createCheckpointStore, type ObjectStore, type StoreRetry, threadedStateWriter } from '#libs/artifacts'
import type { Logger } from '#libs/telemetry'
import type { ArtifactRef, AssignmentMessage, CheckpointStore } from '#libs/training'
import type { ChildConfig } from './child-config.ts'
import type { SupervisorLink } from './messages.ts'

export interface RunCheckpoints {
  readonly store: CheckpointStore
  /** What stays of them, whichever attempt wrote it: the run's artifacts. */
  kept(): Promise<ArtifactRef[]>
  close(): Promise<void>
}

export interface CheckpointsOf {
  readonly assignment: AssignmentMessage
  readonly config: ChildConfig
  readonly store: ObjectStore
  readonly link: SupervisorLink
  readonly log: Logger
}

/** Waiting for the store is work too: the supervisor kills a child that says nothing. */
export function patience(link: SupervisorLink, log: Logger): StoreRetry {
  return {
    onRetry: (error, tries) => {
      log.warn({ err: error, tries }, 'the object store refuses; trying again')
      link.stillHere()
    },
  }
}

export function openCheckpoints({ assignment, config, store, link, log }: CheckpointsOf): RunCheckpoints {
  const retry = patience(link, log)
  const writer = threadedStateWriter(config.objectStoreUrl, config.objectStoreOptions, retry)
  const onCollectError = (error: unknown) => log.warn({ err: error }, 'old checkpoints could not be removed')
  const checkpoints = createCheckpointStore(store, assignment.runId, assignment.semantics, { writer, retry, onCollectError })
  return {
    kept: () => checkpoints.kept(),
    close: async () => {
      await checkpoints.collected()
      await writer.close()
    },
    store: {
      latest: () => checkpoints.latest(),
      load: (role) => checkpoints.load(role),
      save: async (checkpoint, role) => {
        const artifact = await checkpoints.save(checkpoint, role)
        link.send({ type: 'checkpoint-committed', step: checkpoint.step, role, artifact })
        return artifact
      },
    },
  }
}
