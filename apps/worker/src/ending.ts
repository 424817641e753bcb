/** How an attempt ended, from all that its supervisor saw of the child. Pure: the whole table is in the test beside this. */
import type { AttemptEnding } from '#libs/runs'
import { CHILD_EXIT, type FromChild } from '#libs/training'
import { type CrashCause, causeIn } from './crash-cause.ts'

/** Why the supervisor ended the child, weakest first: a later, stronger reason replaces an earlier one. */
export const STOP_REASONS = ['preempt', 'pause', 'cancel', 'nonsense', 'stalled', 'lease-lost'] as const
export type StopReason = (typeof STOP_REASONS)[number]

export type DoneMessage = Extract<FromChild, { type: 'done' }>
export type FailedMessage = Extract<FromChild, { type: 'failed' }>

export interface ChildEnd {
  /** Null where a signal ended the process, or where it never started. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Set where the process could not be started. */
  readonly startError: string | null
  readonly done: DoneMessage | null
  readonly failed: FailedMessage | null
  readonly stop: StopReason | null
  /** Last lines that the process wrote to its stderr. */
  readonly stderrTail: string
  /** The kernel killed a process for want of memory while this one ran. */
  readonly killedForMemory: boolean
}

export interface Verdict {
  readonly ending: AttemptEnding
  readonly message: string | null
  /** Set where the accelerator failed, not the run: what it reported. */
  readonly deviceFault?: string
}

const MESSAGE_LENGTH = 2000

export function endingOf(end: ChildEnd): Verdict {
  if (end.stop === 'lease-lost') return { ending: 'lost', message: 'the worker lost its lease' }
  if (end.stop === 'nonsense') return crashed('the process sent a message that is not part of the protocol')
  if (end.stop === 'stalled') return crashed('the process gave no sign of life and was killed')
  // Finished work counts even where somebody asked to stop: the request came too late.
  if (end.code === CHILD_EXIT.done && end.done) return { ending: 'succeeded', message: null }
  if (end.stop === 'cancel') return { ending: 'cancelled', message: 'cancelled on request' }
  if (end.startError !== null) return crashed(`the process could not be started: ${end.startError}`)
  return endingOfCode(end) ?? endingOfStop(end) ?? endingOfCrash(end)
}

function endingOfCode({ code, failed, stop }: ChildEnd): Verdict | undefined {
  const message = failed ? shortened(failed.message) : null
  switch (code) {
    case CHILD_EXIT.specError:
      return { ending: 'spec-error', message: message ?? 'the run cannot succeed as it was asked for' }
    case CHILD_EXIT.nonFinite:
      return { ending: 'non-finite', message: message ?? 'a loss or gradient stopped being a number' }
    case CHILD_EXIT.outOfMemory:
      return { ending: 'out-of-memory', message: message ?? 'the process ran out of memory' }
    case CHILD_EXIT.stopped:
      return stop === 'pause'
        ? { ending: 'paused', message: 'paused; it goes on from what is committed' }
        : { ending: 'preempted', message: 'stopped; it goes on from what is committed' }
  }
}

/** A child that did not end in time after a request, and was ended by the supervisor's own signal: no fault of the run. */
function endingOfStop({ signal, stop }: ChildEnd): Verdict | undefined {
  if (stop === null || (signal !== 'SIGTERM' && signal !== 'SIGKILL')) return
  return {
    ending: stop === 'pause' ? 'paused' : 'preempted',
    message: 'did not stop in time and was killed; it goes on from its last checkpoint',
  }
}

function endingOfCrash({ code, signal, done, failed, stderrTail, killedForMemory }: ChildEnd): Verdict {
  if (signal === 'SIGKILL' && killedForMemory) {
    return { ending: 'out-of-memory', message: 'killed by the kernel: the machine ran out of memory' }
  }
  // A runtime that aborts says why on stderr alone; the words here are ours, because its own may quote what must not be stored.
  const cause = causeIn(`${failed?.message ?? ''}\n${stderrTail}`)
  if (cause) return endingOfCause(cause)
  if (signal === 'SIGKILL') return crashed('killed (SIGKILL) from outside')
  if (signal) return crashed(`ended by ${signal}`)
  if (code !== 0 && failed) return { ending: failed.ending, message: shortened(failed.message) }
  if (code !== 0 && done) return crashed(`the process reported a result and then ended with code ${code}`)
  if (code === 0) return crashed('the process ended without a result')
  return crashed(`the process ended with code ${code}`)
}

function endingOfCause(cause: CrashCause): Verdict {
  if (cause.kind === 'out-of-memory') return { ending: 'out-of-memory', message: cause.words }
  return { ...crashed(`${cause.words}; its worker takes no more work`), deviceFault: cause.words }
}

function crashed(message: string): Verdict {
  return { ending: 'crashed', message: shortened(message) }
}

function shortened(message: string): string {
  return message.length <= MESSAGE_LENGTH ? message : `${message.slice(0, MESSAGE_LENGTH - 1)}…`
}

/** The stronger of two reasons. */
export function strongerReason(one: StopReason | null, other: StopReason): StopReason {
  return one !== null && STOP_REASONS.indexOf(one) > STOP_REASONS.indexOf(other) ? one : other
}
