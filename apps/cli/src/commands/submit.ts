import { type Command, Option } from 'commander'
import { z } from 'zod'
import { DATASET_KINDS, type DatasetSize, GridInvalidError } from '#libs/experiments'
import { parseAnswer } from '../client/api-client.ts'
import { submittedSchema } from '../client/wire.ts'
import { estimateGrid, type PricedEstimate } from '../estimate/estimate-grid.ts'
import { DEFAULT_TERAFLOPS, datasetImages, type EstimateOptions, positiveNumber } from '../estimate/options.ts'
import { aboutFile } from '../grid-file/explain-problems.ts'
import { readGridFile } from '../grid-file/read-grid-file.ts'
import { renderEstimate } from '../render/estimate-view.ts'
import { renderSubmitted } from '../render/views.ts'
import { type Context, printAnswer } from './context.ts'

export function addSubmit(program: Command, context: Context): void {
  program
    .command('submit')
    .description('submit the grid of a YAML or JSON file; the same file again is the same grid')
    .argument('<file>', 'the grid request')
    .option('--dry-run', 'show what would be made and what it would cost, write nothing', false)
    .addOption(
      new Option('--tflops <number>', 'dry run: 10^12 operations a second that one device really reaches')
        .argParser(positiveNumber)
        .default(DEFAULT_TERAFLOPS),
    )
    .addOption(new Option('--price <number>', 'dry run: price of one device hour').argParser(positiveNumber))
    .addOption(
      new Option(
        '--images <name=train/validation/test>',
        'dry run: size of a data set, if not as published; repeatable',
      ).argParser(datasetImages),
    )
    .option('--idempotency-key <key>', 'refuse another request under the same key')
    .action(async (path: string, options: SubmitOptions) => {
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
      const submitted = () => renderSubmitted(grid, String((file.value as { name?: unknown }).name ?? ''))
      if (!options.dryRun) return printAnswer(context, answer, submitted)
      const asked = { teraflops: options.tflops, price: options.price ?? null, sizes: options.images ?? new Map() }
      const estimate = await estimateOf(context, file.value, asked)
      const told = estimate ? [submitted(), renderEstimate(estimate, asked)] : [submitted()]
      printAnswer(context, estimate ? { ...(answer as object), estimate } : answer, () => told.join('\n'))
    })
}

interface SubmitOptions {
  readonly dryRun: boolean
  readonly idempotencyKey?: string
  readonly tflops: number
  readonly price?: number
  readonly images?: ReadonlyMap<string, DatasetSize>
}

const datasetsSchema = z.object({
  items: z.array(z.object({ name: z.string(), kind: z.enum(DATASET_KINDS), fingerprint: z.string() })),
})

/** Undefined, with a word, where the server took what this version cannot plan. */
async function estimateOf(context: Context, request: unknown, options: EstimateOptions): Promise<PricedEstimate | undefined> {
  const { items } = parseAnswer(datasetsSchema, await context.api().get('/v1/datasets'))
  try {
    return estimateGrid(request, items, options)
  } catch (error) {
    if (!(error instanceof GridInvalidError)) throw error
    context.terminal.note(`no estimate: this cxrlab is of another version than the server (${error.message})`)
    return undefined
  }
}
