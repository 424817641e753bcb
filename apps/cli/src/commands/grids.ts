import { type Command, Option } from 'commander'
import { collectPages } from '../client/pages.ts'
import { gridSchema } from '../client/wire.ts'
import { renderGrids } from '../render/views.ts'
import { type Context, printAnswer } from './context.ts'
import { positiveInt } from './runs.ts'

interface ResultsOptions {
  readonly format: string
  readonly labels: boolean
  readonly metric?: string
  readonly seeds?: string
}

export function addGrids(program: Command, context: Context): void {
  program
    .command('grids')
    .description('list grids, newest first')
    .option('--limit <count>', 'at most so many', positiveInt, 50)
    .action(async ({ limit }: { limit: number }) => {
      const { items, raw } = await collectPages(context.api(), '/v1/grids', {}, gridSchema, limit)
      printAnswer(context, raw, () => renderGrids(items))
    })

  program
    .command('results')
    .description("print a grid's results")
    .argument('<grid>', 'grid id, prefix or name')
    .addOption(new Option('--format <format>', 'how').choices(['table', 'csv', 'json', 'latex', 'markdown']).default('table'))
    .option('--labels', 'a row for each label, not only the macro mean', false)
    .addOption(new Option('--metric <metric>', 'only this one').choices(['auroc', 'auprc']))
    .addOption(new Option('--seeds <seeds>', 'a row for each seed, or mean and deviation over seeds').choices(['rows', 'mean']))
    .action(async (grid: string, options: ResultsOptions) => {
      const query = new URLSearchParams({ format: context.json() ? 'json' : options.format, labels: String(options.labels) })
      if (options.metric !== undefined) query.set('metric', options.metric)
      if (options.seeds !== undefined) query.set('seeds', options.seeds)
      const text = await context.api().text(`/v1/grids/${encodeURIComponent(grid)}/results?${query}`)
      context.terminal.print(text.trimEnd())
    })
}
