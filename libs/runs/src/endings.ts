/** How an attempt ended, in words for the user. */
import type { AttemptEnding } from './states.ts'

/** Three workers were lost over the run: an ending of the run, not of an attempt. */
export type FailureWord = AttemptEnding | 'poison'

/** One clause each: what happened, and what becomes of it. Shown beside the word wherever an ending is shown. */
export const ENDING_WORDS: Readonly<Record<FailureWord, string>> = {
  succeeded: 'it finished',
  'spec-error': 'what was asked for cannot be done; another try would end the same way',
  'out-of-memory':
    'the machine had too little memory; it is tried once more with half as many images at once, with the same results',
  'non-finite': 'a loss or gradient stopped being a number; the last good checkpoint is kept',
  crashed: 'the process that computed it ended by itself',
  preempted: 'it had to make room; it goes on from its last checkpoint and this costs no try',
  lost: 'its worker was not heard of in time; another worker goes on from the last checkpoint',
  paused: 'somebody paused it; it keeps its checkpoint',
  cancelled: 'somebody cancelled it',
  poison: 'workers were lost while they computed it, one after the other; the next one would be lost too',
}

/** Why a run failed for good: the attempt's own words, with the count where there were tries. */
export function failureWords(ended: {
  readonly ending: FailureWord
  readonly message: string | null
  readonly times: number
}): string {
  const { ending, message, times } = ended
  if (ending === 'poison') return `poison: ${times} workers were lost while they computed it`
  const words = message ?? ENDING_WORDS[ending]
  return times > 1 ? `${ending} ${times} times, the last time: ${words}` : words
}
