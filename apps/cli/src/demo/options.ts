import { parseArgs } from 'node:util'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'

export interface DemoOptions {
  /** A folder in NIH ChestX-ray14's layout; undefined: a phantom data set is made. */
  readonly data: string | undefined
  /** Where the lab lies. It stays, so a second demo finds its runs done. */
  readonly dir: string
  /** Grid request; undefined: the one that fits the data. */
  readonly grid: string | undefined
}

/** @throws CliError for an unknown option. */
export function parseDemoOptions(argv: readonly string[]): DemoOptions {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { data: { type: 'string' }, dir: { type: 'string', default: '.cxrlab/demo' }, grid: { type: 'string' } },
    })
    return { data: values.data, dir: values.dir, grid: values.grid }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new CliError('demo-usage', EXIT.usage, `${reason}\nusage: npm run demo -- [--data DIR] [--dir DIR] [--grid FILE]`)
  }
}
