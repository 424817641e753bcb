import { describe, expect, it } from 'vitest'
import { type ChildEnd, type DoneMessage, endingOf, type FailedMessage, strongerReason } from './ending.ts'

const silent: ChildEnd = {
  code: null,
  signal: null,
  startError: null,
  done: null,
  failed: null,
  stop: null,
  stderrTail: '',
  killedForMemory: false,
}
const done: DoneMessage = { type: 'done', artifacts: [], results: [], summary: {} }
const failed = (ending: FailedMessage['ending'], message = 'why'): FailedMessage => ({ type: 'failed', ending, message })

describe('endingOf', () => {
  const table: readonly [title: string, seen: Partial<ChildEnd>, ending: string, message: RegExp | null][] = [
    ['exit 0 after done', { code: 0, done }, 'succeeded', null],
    ['exit 0 without done', { code: 0 }, 'crashed', /without a result/],
    ['exit 0 after failed', { code: 0, failed: failed('spec-error') }, 'crashed', /without a result/],
    ['done and another exit code', { code: 1, done }, 'crashed', /reported a result and then ended with code 1/],
    ['done and a signal', { signal: 'SIGSEGV', done }, 'crashed', /SIGSEGV/],
    [
      'exit 64 with its message',
      { code: 64, failed: failed('spec-error', 'labels.csv:7: no such label') },
      'spec-error',
      /^labels\.csv:7/,
    ],
    ['exit 64 without a message', { code: 64 }, 'spec-error', /cannot succeed/],
    ['exit 70', { code: 70, failed: failed('non-finite', 'loss is not finite at step 3') }, 'non-finite', /step 3/],
    ['exit 71', { code: 71 }, 'out-of-memory', /memory/],
    ['exit 75 without a request (a signal from outside)', { code: 75 }, 'preempted', /goes on from what is committed/],
    ['exit 75 after preempt', { code: 75, stop: 'preempt' }, 'preempted', /goes on from what is committed/],
    ['exit 75 after pause', { code: 75, stop: 'pause' }, 'paused', /goes on from what is committed/],
    ['exit 75 after cancel', { code: 75, stop: 'cancel' }, 'cancelled', /request/],
    ['exit 1', { code: 1 }, 'crashed', /code 1/],
    ['exit 1 with failed', { code: 1, failed: failed('crashed', 'bucket is gone') }, 'crashed', /bucket is gone/],
    [
      'a code that contradicts its message',
      { code: 71, failed: failed('crashed', 'allocation failed') },
      'out-of-memory',
      /allocation failed/,
    ],
    ['SIGKILL from outside', { signal: 'SIGKILL' }, 'crashed', /killed \(SIGKILL\) from outside/],
    ['SIGKILL by the kernel', { signal: 'SIGKILL', killedForMemory: true }, 'out-of-memory', /by the kernel/],
    ['killed after pause while memory was short', { signal: 'SIGKILL', killedForMemory: true, stop: 'pause' }, 'paused', /last/],
    [
      'abort for want of memory',
      { signal: 'SIGABRT', stderrTail: "terminate called: 'std::bad_alloc'" },
      'out-of-memory',
      /memory/,
    ],
    ['a word of CUDA in the message', { code: 1, failed: failed('crashed', 'CUDA out of memory') }, 'out-of-memory', /GPU/],
    ['a lost GPU', { signal: 'SIGABRT', stderrTail: 'GPU has fallen off the bus' }, 'crashed', /lost; its worker takes no more/],
    ['a spec error that speaks of memory', { code: 64, stderrTail: 'out of memory' }, 'spec-error', /cannot/],
    ['SIGABRT', { signal: 'SIGABRT' }, 'crashed', /SIGABRT/],
    ['killed after preempt', { signal: 'SIGKILL', stop: 'preempt' }, 'preempted', /last checkpoint/],
    ['terminated after pause', { signal: 'SIGTERM', stop: 'pause' }, 'paused', /last checkpoint/],
    ['killed after cancel', { signal: 'SIGKILL', stop: 'cancel' }, 'cancelled', /request/],
    ['a crash of its own while it was being stopped', { code: 1, stop: 'preempt' }, 'crashed', /code 1/],
    ['SIGSEGV while it was being stopped', { signal: 'SIGSEGV', stop: 'pause' }, 'crashed', /SIGSEGV/],
    ['a spec error found while it was being stopped', { code: 64, stop: 'preempt' }, 'spec-error', /cannot/],
    ['finished before the request to stop arrived', { code: 0, done, stop: 'preempt' }, 'succeeded', null],
    ['finished before the request to cancel arrived', { code: 0, done, stop: 'cancel' }, 'succeeded', null],
    ['nonsense, whatever followed', { code: 0, done, stop: 'nonsense' }, 'crashed', /protocol/],
    ['no sign of life', { signal: 'SIGKILL', stop: 'stalled' }, 'crashed', /sign of life/],
    ['a lost lease, whatever followed', { code: 0, done, stop: 'lease-lost' }, 'lost', /lease/],
    ['a process that could not be started', { startError: 'EAGAIN' }, 'crashed', /could not be started: EAGAIN/],
  ]
  for (const [title, seen, ending, message] of table) {
    it(`${title}: ${ending}`, () => {
      const verdict = endingOf({ ...silent, ...seen })
      expect(verdict.ending).toBe(ending)
      if (message === null) expect(verdict.message).toBeNull()
      else expect(verdict.message).toMatch(message)
    })
  }

  it('tells a fault of the device from a fault of the run', () => {
    expect(endingOf({ ...silent, code: 1, stderrTail: 'NVRM: Xid (PCI:0000:3b:00): 79' }).deviceFault).toMatch(/Xid/)
    expect(endingOf({ ...silent, code: 1, stderrTail: 'TypeError' }).deviceFault).toBeUndefined()
  })

  it('shortens a message that no user would read', () => {
    expect(endingOf({ ...silent, code: 64, failed: failed('spec-error', 'x'.repeat(10_000)) }).message).toHaveLength(2000)
  })
})

describe('strongerReason', () => {
  it('keeps cancel over a later preempt, and a lost lease over everything', () => {
    expect(strongerReason(null, 'preempt')).toBe('preempt')
    expect(strongerReason('cancel', 'preempt')).toBe('cancel')
    expect(strongerReason('pause', 'cancel')).toBe('cancel')
    expect(strongerReason('cancel', 'lease-lost')).toBe('lease-lost')
  })
})
