import { type Command, InvalidArgumentError } from 'commander'
import { parseAnswer } from '../client/api-client.ts'
import { comparisonSchema } from '../client/wire.ts'
import { renderComparison } from '../render/comparison.ts'
import { type Context, printAnswer } from './context.ts'

export function addCompare(program: Command, context: Context): void {
  program
    .command('compare')
    .description('compare two evaluations that were tested on the same images: differences, intervals by patient, p values')
    .argument('<first>', 'run id of an evaluation, or its first six digits or more')
    .argument('<second>', 'the other one; differences are first minus second')
    .option('--resamples <count>', 'of the bootstrap, 0 to 10000', resampleCount, 1000)
    .action(async (first: string, second: string, { resamples }: { resamples: number }) => {
      const query = new URLSearchParams({ first, second, resamples: String(resamples) })
      const answer = await context.api().get(`/v1/compare?${query}`)
      const comparison = parseAnswer(comparisonSchema, answer)
      printAnswer(context, answer, () => renderComparison(comparison))
    })
}

function resampleCount(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isInteger(value) || value < 0 || value > 10_000) {
    throw new InvalidArgumentError('must be a whole number from 0 to 10000')
  }
  return value
}
