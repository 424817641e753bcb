import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { DATASET_KINDS, isObjectAddress, SPLIT_RULES } from '#libs/experiments'
import { parseAnswer } from '../client/api-client.ts'
import { datasetCheckSchema, datasetSchema, datasetsSchema } from '../client/wire.ts'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import { renderCheck, renderDatasets } from '../render/dataset-views.ts'
import { shortId } from '../render/format.ts'
import { type Context, printAnswer } from './context.ts'

interface AddOptions {
  readonly kind: string
  readonly root: string
  readonly mimicIv?: string
  readonly split?: string
  readonly splitRule?: string
}

export function addDatasets(program: Command, context: Context): void {
  const datasets = program.command('datasets').description('register, check and list data sets')

  datasets
    .command('add')
    .description('register a data set; its tables are hashed and its images sized, which takes a while for a large one')
    .argument('<name>', 'the name that grids use')
    .addOption(new Option('--kind <kind>', 'how its files are laid out').choices([...DATASET_KINDS]).makeOptionMandatory())
    .requiredOption('--root <dir>', "its folder or s3:// address, inside one of the server's dataset roots")
    .option('--mimic-iv <dir>', 'folder or s3:// address of MIMIC-IV (hosp/, icu/): gives mimic-cxr its EHR variables')
    .option('--split <file>', 'own split table for mimic-cxr: dicom_id,study_id,subject_id,split')
    .option('--split-rule <rule>', 'who says which split an image is in: official, icu, or a file as --split')
    .action(async (name: string, options: AddOptions) => {
      const answer = await context.api().post('/v1/datasets', bodyOf(name, options))
      const dataset = parseAnswer(datasetSchema, answer)
      printAnswer(
        context,
        answer,
        () => `data set ${dataset.name} (${dataset.kind}), fingerprint ${shortId(dataset.fingerprint)}`,
      )
    })

  datasets
    .command('check')
    .description('count what a data set holds: splits, views, labels, missing files, EHR coverage')
    .argument('<name>', 'the name it is registered under')
    .action(async (name: string) => {
      const answer = await context.api().get(`/v1/datasets/${encodeURIComponent(name)}/check`)
      const check = parseAnswer(datasetCheckSchema, answer)
      printAnswer(context, answer, () => renderCheck(name, check))
      if (check.problem !== null || check.changed) context.exit(EXIT.failed)
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

/** Folders are meant from where the command is given. */
function bodyOf(name: string, { kind, root, mimicIv, split: given, splitRule }: AddOptions): Record<string, string> {
  const isRule = SPLIT_RULES.some((rule) => rule === splitRule)
  if (given !== undefined && splitRule !== undefined && !isRule) {
    throw new CliError('split-twice', EXIT.usage, '--split and --split-rule name two split tables')
  }
  const split = given ?? (isRule ? undefined : splitRule)
  const address = (path: string) => (isObjectAddress(path) ? path : resolve(path))
  return {
    name,
    kind,
    root: address(root),
    ...(mimicIv !== undefined && { mimicIv: address(mimicIv) }),
    ...(split !== undefined && { split: address(split) }),
    ...(isRule && splitRule !== undefined && { splitRule }),
  }
}
