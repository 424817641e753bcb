import { type Command, InvalidArgumentError, Option } from 'commander'
import { RUN_STATES } from '#libs/runs'
import { parseAnswer } from '../client/api-client.ts'
import { collectPages } from '../client/pages.ts'
import { runDetailSchema, runSchema, whySchema } from '../client/wire.ts'
import { renderRun, renderRuns, renderWhy } from '../render/views.ts'
import { type Context, printAnswer } from './context.ts'

export function addRuns(program: Command, context: Context): void {
  program
    .command('runs')
    .description('list runs, newest first')
    .option('--grid <grid>', 'only of this grid (id, prefix or name)')
    .addOption(new Option('--state <state>', 'only in this state').choices(RUN_STATES))
    .addOption(new Option('--kind <kind>', 'only of this kind').choices(['prepare', 'pretrain', 'evaluate']))
    .option('--limit <count>', 'at most so many', positiveInt, 50)
    .action(async ({ limit, ...query }: { grid?: string; state?: string; kind?: string; limit: number }) => {
      const { items, raw } = await collectPages(context.api(), '/v1/runs', query, runSchema, limit)
      printAnswer(context, raw, () => renderRuns(items, context.terminal.now()))
    })

  program
    .command('run')
    .description('show one run: progress, attempts, summary, artifacts')
    .argument('<id>', 'run id, or its first six digits or more')
    .action(async (id: string) => {
      const answer = await context.api().get(`/v1/runs/${encodeURIComponent(id)}`)
      const run = parseAnswer(runDetailSchema, answer)
      printAnswer(context, answer, () => renderRun(run, context.terminal.now()))
    })

  program
    .command('why')
    .description('say what a run waits for, or how it ended')
    .argument('<run>', 'run id, or its first six digits or more')
    .action(async (id: string) => {
      const answer = await context.api().get(`/v1/runs/${encodeURIComponent(id)}/why`)
      const why = parseAnswer(whySchema, answer)
      printAnswer(context, answer, () => renderWhy(why))
    })
}

export function positiveInt(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('must be a whole number from 1')
  return value
}
