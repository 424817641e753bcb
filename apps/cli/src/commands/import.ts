import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { parseAnswer } from '../client/api-client.ts'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import { type Context, printAnswer } from './context.ts'

const importedSchema = z.object({
  sha256: z.string(),
  sizes: z.object({ dim: z.number(), depth: z.number(), patchPx: z.number(), imagePx: z.number() }),
})

export function addImport(program: Command, context: Context): void {
  program
    .command('import')
    .description("bring a ViT's weights into the lab, for evaluations to start from")
    .argument('<file>', "safetensors in timm's names and layout")
    .action(async (file: string) => {
      const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
        throw new CliError('file-unreadable', EXIT.invalidFile, `${file} cannot be read (${error.code})`, { cause: error })
      })
      const answer = await context.api().upload('/v1/weights', new Uint8Array(bytes))
      const { sha256, sizes } = parseAnswer(importedSchema, answer)
      const { dim, depth, patchPx, imagePx } = sizes
      printAnswer(context, answer, () =>
        [
          `${file}: width ${dim}, ${depth} blocks, patches of ${patchPx} px, images of ${imagePx} px`,
          'a grid evaluates it with (its backbone and the number of heads must fit the file):',
          '  method: [imported]',
          `  weights: ${sha256}`,
        ].join('\n'),
      )
    })
}
