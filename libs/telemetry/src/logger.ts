import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import { redactFields, redactText, serialiseError } from './redaction.ts'

export type { Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface LoggerOptions {
  /** Stands in every line as `service`: `api`, `scheduler`, `worker`, `worker-child`, ... */
  readonly service: string
  readonly level: LogLevel
  /** Default: standard output, written synchronously, so that the last lines before a crash are not lost. */
  readonly destination?: DestinationStream
}

/**
 * A logger of JSON lines `{level, time, service, pid, ..., msg}`, time in ISO 8601 UTC, level by name.
 * Fields whose names are secrets' and credentials in URLs are replaced (redaction.ts), in messages and errors too.
 */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      level: options.level,
      base: { service: options.service, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields, bindings: redactFields },
      serializers: { err: serialiseError, error: serialiseError },
      // On the finished line, so that no way into it (bindings of children, stacks, nested text) goes around it.
      hooks: { streamWrite: redactText },
    },
    options.destination ?? pino.destination({ fd: 1, sync: true }),
  )
}

/** Ids that tie the lines of one run together; hashes and generated ids, never a patient's. */
export interface RunFields {
  readonly runId?: string
  readonly attemptId?: string
}

/** A child logger whose lines carry `run_id` and `attempt_id`: the same names in every service, so that one query finds a run. */
export function runLogger(logger: Logger, fields: RunFields): Logger {
  return logger.child({
    ...(fields.runId === undefined ? {} : { run_id: fields.runId }),
    ...(fields.attemptId === undefined ? {} : { attempt_id: fields.attemptId }),
  })
}
