/** The process of one attempt: gets its assignment, does it, says how it ended, and ends. */
import { createLogger } from '#libs/telemetry'
import { readChildConfig } from '../config.ts'
import { attemptProcess } from './attempt-process.ts'
import { SupervisorLink } from './messages.ts'
import { runAssignment } from './run-assignment.ts'

const config = readChildConfig()
const logger = createLogger({ service: 'worker-child', level: config.logLevel })
const link = new SupervisorLink(logger)
await attemptProcess(link, logger, (assignment, log) => runAssignment(assignment, config, link, log))
