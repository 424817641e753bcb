/** The process of one attempt: gets its assignment, does it, says how it ended, and ends. */
import { isOutOfMemory } from '#libs/engine'
import { createLogger } from '#libs/telemetry'
import { ArtifactMismatchError, CHILD_EXIT, NonFiniteError, SpecError, StoppedError } from '#libs/training'
import { readChildConfig } from '../config.ts'
import { SupervisorLink } from './messages.ts'
import { runAssignment } from './run-assignment.ts'

type Failure = { readonly ending: 'spec-error' | 'non-finite' | 'out-of-memory' | 'crashed'; readonly code: number }

function failureOf(error: unknown): Failure {
  if (error instanceof SpecError || error instanceof ArtifactMismatchError)
    return { ending: 'spec-error', code: CHILD_EXIT.specError }
  if (error instanceof NonFiniteError) return { ending: 'non-finite', code: CHILD_EXIT.nonFinite }
  if (isOutOfMemory(error)) return { ending: 'out-of-memory', code: CHILD_EXIT.outOfMemory }
  return { ending: 'crashed', code: 1 }
}

const config = readChildConfig()
const logger = createLogger({ service: 'worker-child', level: config.logLevel })
const link = new SupervisorLink(logger)
link.send({ type: 'ready' })
const assignment = await link.assignment
const log = logger.child({ run_id: assignment.runId, attempt_id: assignment.attemptId })
try {
  const done = await runAssignment(assignment, config, link, log)
  await link.sendLast({ type: 'done', ...done })
  process.exit(CHILD_EXIT.done)
} catch (error) {
  if (error instanceof StoppedError) {
    await link.sendLast()
    process.exit(CHILD_EXIT.stopped)
  }
  const { ending, code } = failureOf(error)
  log.error({ err: error, ending }, 'attempt failed')
  await link.sendLast({ type: 'failed', ending, message: error instanceof Error ? error.message : String(error) })
  process.exit(code)
}
