import { writeFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { runSpecSchema } from '#libs/experiments'
import type { ExportedRun } from '#libs/weights'
import packageJson from '../../../../package.json' with { type: 'json' }
import { type ApiClient, parseAnswer } from '../client/api-client.ts'
import { apiObjectStore } from '../client/api-object-store.ts'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import { shortId } from '../render/format.ts'
import { type Context, printAnswer } from './context.ts'

interface ExportOptions {
  readonly format: 'safetensors' | 'onnx'
  readonly network?: 'target' | 'online'
  readonly out?: string
}

const runSchema = z.object({
  id: z.string(),
  semantics: z.number(),
  spec: runSpecSchema,
  upstream: z.array(z.object({ id: z.string(), kind: z.string() })),
})

export function addExport(program: Command, context: Context): void {
  program
    .command('export')
    .description("write a run's weights to a file that other programs read")
    .argument('<run>', 'id of a pretraining, or of an evaluation with its classifier; or its first six digits or more')
    .addOption(
      new Option('--format <format>', "safetensors: timm's names and layout; onnx: image -> class-token features")
        .choices(['safetensors', 'onnx'])
        .default('safetensors'),
    )
    .addOption(new Option('--network <network>', 'which of the two networks').choices(['target', 'online']))
    .option('--out <file>', 'default: the first digits of the run and the format')
    .action(async (id: string, options: ExportOptions) => await exportRun(context, id, options))
}

async function exportRun(context: Context, id: string, { format, network, out }: ExportOptions): Promise<void> {
  const api = context.api()
  const { run, pretrain } = await findRun(api, id)
  // Loaded here: no other command needs models.
  const { exportWeights, loadForExport } = await import('#libs/weights')
  const file = out ?? `${shortId(run.id)}.${format}`
  try {
    const loaded = await loadForExport(apiObjectStore(api), run, pretrain, network ?? null)
    const bytes = exportWeights(loaded, format, packageJson.version)
    await writeFile(file, bytes)
    const answer = { run: run.id, network: loaded.origin.network, format, file, sizeBytes: bytes.byteLength }
    printAnswer(
      context,
      answer,
      () => `${file}: the ${answer.network} network of run ${shortId(run.id)}, ${bytes.byteLength} bytes`,
    )
  } catch (error) {
    throw asCliError(error, file)
  }
}

async function findRun(api: ApiClient, id: string): Promise<{ run: ExportedRun; pretrain: ExportedRun | null }> {
  const of = async (runId: string) => parseAnswer(runSchema, await api.get(`/v1/runs/${encodeURIComponent(runId)}`))
  const run = await of(id)
  const upstream = run.spec.kind === 'evaluate' ? run.upstream.find(({ kind }) => kind === 'pretrain') : undefined
  return { run, pretrain: upstream ? await of(upstream.id) : null }
}

/** What is wrong with the run or its files is the user's to know, in one line. */
function asCliError(error: unknown, file: string): unknown {
  const code = (error as { code?: unknown }).code
  if (!(error instanceof Error) || error instanceof CliError) return error
  if (code === 'spec-error' || code === 'artifact-mismatch')
    return new CliError(code, EXIT.refused, error.message, { cause: error })
  if ('syscall' in error)
    return new CliError('file-not-written', EXIT.invalidFile, `${file} cannot be written (${code})`, { cause: error })
  return error
}
