/** From a thrown error to the last message and the exit code of the attempt's process. */
import { isOutOfMemory } from '#libs/engine'
import type { Logger } from '#libs/telemetry'
import {
  ArtifactMismatchError,
  type AssignmentMessage,
  CHILD_EXIT,
  type FromChild,
  NonFiniteError,
  SpecError,
  StoppedError,
} from '#libs/training'
import type { SupervisorLink } from './messages.ts'

export type Done = Omit<Extract<FromChild, { type: 'done' }>, 'type'>
type Failed = Extract<FromChild, { type: 'failed' }>

const EXIT_OF = {
  'spec-error': CHILD_EXIT.specError,
  'non-finite': CHILD_EXIT.nonFinite,
  'out-of-memory': CHILD_EXIT.outOfMemory,
  crashed: 1,
} as const satisfies Record<Failed['ending'], number>

function endingOf(error: unknown): Failed['ending'] {
  if (error instanceof SpecError || error instanceof ArtifactMismatchError) return 'spec-error'
  if (error instanceof NonFiniteError) return 'non-finite'
  return isOutOfMemory(error) ? 'out-of-memory' : 'crashed'
}

/** Does the one assignment that comes, says how it ended, and ends the process with the code of that. */
export async function attemptProcess(
  link: SupervisorLink,
  logger: Logger,
  work: (assignment: AssignmentMessage, log: Logger) => Promise<Done>,
): Promise<never> {
  link.send({ type: 'ready' })
  const assignment = await link.assignment
  const log = logger.child({ run_id: assignment.runId, attempt_id: assignment.attemptId })
  try {
    await link.sendLast({ type: 'done', ...(await work(assignment, log)) })
    return process.exit(CHILD_EXIT.done)
  } catch (error) {
    if (error instanceof StoppedError) {
      await link.sendLast()
      return process.exit(CHILD_EXIT.stopped)
    }
    const ending = endingOf(error)
    log.error({ err: error, ending }, 'attempt failed')
    await link.sendLast({ type: 'failed', ending, message: error instanceof Error ? error.message : String(error) })
    return process.exit(EXIT_OF[ending])
  }
}
