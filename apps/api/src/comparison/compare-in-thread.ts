/** Comparisons off the main thread: a thousand resamples of a large test split take seconds, in which the api would answer nobody. */
import { Worker } from 'node:worker_threads'
import type { Comparison, ComparisonInput } from './compare.ts'

export type ThreadAnswer =
  | { readonly comparison: Comparison; readonly failed?: undefined }
  | { readonly failed: { readonly code: string | null; readonly message: string } }

/** What the comparison threw, with its code. */
export class ComparisonError extends Error {
  override readonly name = 'ComparisonError'
  readonly code: string | null
  constructor(code: string | null, message: string) {
    super(message)
    this.code = code
  }
}

/** @throws ComparisonError with the code of EvaluationInputError or ArtifactMismatchError where the files do not fit each other. */
export async function compareInThread(input: ComparisonInput): Promise<Comparison> {
  const thread = new Worker(new URL('./comparison-thread.mjs', import.meta.url), { workerData: input, execArgv: [] })
  try {
    const answer = await new Promise<ThreadAnswer>((resolve, reject) => {
      thread.once('message', resolve)
      thread.once('error', reject)
      thread.once('exit', () => reject(new Error('the comparison ended without an answer')))
    })
    if (answer.failed !== undefined) throw new ComparisonError(answer.failed.code, answer.failed.message)
    return answer.comparison
  } finally {
    await thread.terminate()
  }
}
