import type { Command } from 'commander'
import { collectPages } from '../client/pages.ts'
import { workerSchema } from '../client/wire.ts'
import { renderWorkers } from '../render/access.ts'
import { type Context, printAnswer } from './context.ts'

const MOST_WORKERS = 10_000

export function addWorkers(program: Command, context: Context): void {
  program
    .command('workers')
    .description('list workers and what each works on')
    .action(async () => {
      const { items, raw } = await collectPages(context.api(), '/v1/workers', {}, workerSchema, MOST_WORKERS)
      printAnswer(context, raw, () => renderWorkers(items))
    })
}
