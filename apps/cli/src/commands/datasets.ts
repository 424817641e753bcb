import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { parseAnswer } from '../client/api-client.ts'
import { datasetSchema, datasetsSchema } from '../client/wire.ts'
import { shortId } from '../render/format.ts'
import { renderDatasets } from '../render/views.ts'
import { type Context, printAnswer } from './context.ts'

export function addDatasets(program: Command, context: Context): void {
  const datasets = program.command('datasets').description('register and list data sets')

  datasets
    .command('add')
    .description('register a data set; its files are hashed, which takes a while for a large one')
    .argument('<name>', 'the name that grids use')
    .addOption(
      new Option('--kind <kind>', 'how its files are laid out').choices(['nih14', 'mimic-cxr', 'chexpert']).makeOptionMandatory(),
    )
    .requiredOption('--root <dir>', "its folder, inside one of the server's dataset roots")
    .action(async (name: string, { kind, root }: { kind: string; root: string }) => {
      const answer = await context.api().post('/v1/datasets', { name, kind, root: resolve(root) })
      const dataset = parseAnswer(datasetSchema, answer)
      printAnswer(
        context,
        answer,
        () => `data set ${dataset.name} (${dataset.kind}), fingerprint ${shortId(dataset.fingerprint)}`,
      )
    })

  datasets
    .command('list')
    .description('list data sets')
    .action(async () => {
      const answer = await context.api().get('/v1/datasets')
      const { items } = parseAnswer(datasetsSchema, answer)
      printAnswer(context, (answer as { items: unknown }).items, () => renderDatasets(items))
    })
}
