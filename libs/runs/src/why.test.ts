import { describe, expect, it } from 'vitest'
import { explain, type WhyFacts, whySentence } from './why.ts'

const ID = `abcdef012345${'0'.repeat(52)}`
const facts = (over: Partial<WhyFacts>): WhyFacts => ({
  state: 'queued',
  waitsFor: [],
  runsAhead: null,
  workersOfClass: null,
  hold: null,
  start: null,
  rootCause: null,
  resourceClass: 'cpu',
  message: null,
  desired: 'run',
  progress: null,
  backoffSeconds: null,
  ...over,
})

describe('whySentence', () => {
  it.each<[string, Partial<WhyFacts>]>([
    [
      'Waits for pretrain abcdef012345 (running, 42 % done).',
      { state: 'blocked', waitsFor: [{ id: ID, kind: 'pretrain', state: 'running', progress: 0.429, end: null }] },
    ],
    [
      'Waits for pretrain abcdef012345 (running, 10 minutes left); should start in about 10 minutes, most likely within 20 minutes.',
      {
        state: 'blocked',
        waitsFor: [{ id: ID, kind: 'pretrain', state: 'running', progress: null, end: { p50: 600, p90: 1200 } }],
        start: { p50: 600, p90: 1200 },
      },
    ],
    [
      'Waits for a worker: it is next (1 worker of class "cpu" alive); should start in about 40 seconds.',
      { workersOfClass: 1, runsAhead: 0, start: { p50: 40, p90: 40 } },
    ],
    [
      'Waits for its turn: its owner has as many runs at work as the limit allows.',
      { workersOfClass: 1, runsAhead: 0, hold: 'user-limit' },
    ],
    ['Paused: paused by a user.', { state: 'paused', message: 'paused by a user' }],
    ['Waits for a worker: none of class "cpu" is alive.', { workersOfClass: 0, runsAhead: 3 }],
    ['Waits for a worker: 1 run is ahead of it (2 workers of class "cpu" alive).', { workersOfClass: 2, runsAhead: 1 }],
    ['Waits for a worker: it is next (1 worker of class "cpu" alive).', { workersOfClass: 1, runsAhead: 0 }],
    ['Waits 4 seconds before it is tried again.', { workersOfClass: 1, runsAhead: 0, backoffSeconds: 3.2 }],
    ['Running, 50 % done; its worker was asked to cancel.', { state: 'running', progress: 0.5, desired: 'cancel' }],
    ['Failed: the loss is not finite at step 3.', { state: 'failed', message: 'the loss is not finite at step 3.' }],
    ['Cancelled.', { state: 'cancelled' }],
    [
      'Not tried: prepare abcdef012345, which it needs, did not succeed: no images.',
      { state: 'upstream-failed', rootCause: { id: ID, kind: 'prepare', message: 'no images' } },
    ],
  ])('says "%s"', (sentence, over) => {
    expect(whySentence(facts(over))).toBe(sentence)
  })

  it('passes the facts on beside the sentence', () => {
    expect(explain(facts({ workersOfClass: 0 }))).toEqual({
      state: 'queued',
      sentence: 'Waits for a worker: none of class "cpu" is alive.',
      waitsFor: [],
      runsAhead: null,
      workersOfClass: 0,
      hold: null,
      start: null,
      rootCause: null,
    })
  })
})
