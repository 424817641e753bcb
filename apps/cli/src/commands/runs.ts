import { type Command, InvalidArgumentError, Option } from 'commander'
import { RUN_STATES } from '#libs/runs'
import { parseAnswer } from '../client/api-client.ts'
import { collectPages } from '../client/pages.ts'
import { cancelledGridSchema, runDetailSchema, runSchema, runStateAnswerSchema, whySchema } from '../client/wire.ts'
import { ApiProblemError } from '../errors.ts'
import { shortId } from '../render/format.ts'
import { renderRun, renderRuns, renderWhy } from '../render/views.ts'
import { type Context, printAnswer } from './context.ts'

const RUN_ID = /^[0-9a-f]{6,64}$/

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

  program
    .command('retry')
    .description('queue a run again that failed or was cancelled')
    .argument('<run>', 'run id, or its first six digits or more')
    .action(async (id: string) => await act(context, `/v1/runs/${encodeURIComponent(id)}/retry`))

  program
    .command('cancel')
    .description('cancel a run, or all runs of a grid that no other live grid wants')
    .argument('<run-or-grid>', 'id or prefix of either, or name of a grid')
    .action(async (id: string) => await cancel(context, id))
}

async function act(context: Context, path: string): Promise<void> {
  const answer = await context.api().post(path)
  const run = parseAnswer(runStateAnswerSchema, answer)
  printAnswer(context, answer, () => `run ${shortId(run.id)} is ${run.state}`)
}

/** An id may be a run's or a grid's; both are hashes, so only one can fit unless the prefix is short. */
async function cancel(context: Context, id: string): Promise<void> {
  if (RUN_ID.test(id)) {
    try {
      return await act(context, `/v1/runs/${id}/cancel`)
    } catch (error) {
      if (!(error instanceof ApiProblemError) || error.status !== 404) throw error
    }
  }
  const answer = await context.api().post(`/v1/grids/${encodeURIComponent(id)}/cancel`)
  const grid = parseAnswer(cancelledGridSchema, answer)
  printAnswer(context, answer, () => `grid ${shortId(grid.gridId)}: ${grid.cancelledRuns} runs cancelled`)
}

export function positiveInt(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('must be a whole number from 1')
  return value
}
