import type { Command } from 'commander'
import { parseAnswer } from '../client/api-client.ts'
import { submittedSchema } from '../client/wire.ts'
import { aboutFile } from '../grid-file/explain-problems.ts'
import { readGridFile } from '../grid-file/read-grid-file.ts'
import { renderSubmitted } from '../render/views.ts'
import { type Context, printAnswer } from './context.ts'

export function addSubmit(program: Command, context: Context): void {
  program
    .command('submit')
    .description('submit the grid of a YAML or JSON file; the same file again is the same grid')
    .argument('<file>', 'the grid request')
    .option('--dry-run', 'show what would be made, write nothing', false)
    .option('--idempotency-key <key>', 'refuse another request under the same key')
    .action(async (path: string, options: { dryRun: boolean; idempotencyKey?: string }) => {
      const file = await readGridFile(path)
      const headers: Record<string, string> =
        options.idempotencyKey === undefined ? {} : { 'idempotency-key': options.idempotencyKey }
      let answer: unknown
      try {
        answer = await context.api().post(`/v1/grids${options.dryRun ? '?dryRun=true' : ''}`, file.value, headers)
      } catch (error) {
        throw aboutFile(file, error)
      }
      const grid = parseAnswer(submittedSchema, answer)
      printAnswer(context, answer, () => renderSubmitted(grid, String((file.value as { name?: unknown }).name ?? '')))
    })
}
