/** `cxrlab`: reads the command line, runs one command, gives the exit code. */
import { Command, CommanderError } from 'commander'
import packageJson from '../../../package.json' with { type: 'json' }
import { createApiClient } from './client/api-client.ts'
import { addCompare } from './commands/compare.ts'
import type { Context, Terminal } from './commands/context.ts'
import { addControl } from './commands/control.ts'
import { addDatasets } from './commands/datasets.ts'
import { addExport } from './commands/export.ts'
import { addGc } from './commands/gc.ts'
import { addGrids } from './commands/grids.ts'
import { addImport } from './commands/import.ts'
import { addKeys } from './commands/keys.ts'
import { addMigrate } from './commands/migrate.ts'
import { addRuns } from './commands/runs.ts'
import { addSubmit } from './commands/submit.ts'
import { addUp } from './commands/up.ts'
import { addWatch } from './commands/watch.ts'
import { addWorkers } from './commands/workers.ts'
import { readConfig } from './config.ts'
import { CliError, GridFileError } from './errors.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'

const realTerminal: Terminal = {
  print: (text) => process.stdout.write(`${text}\n`),
  note: (text) => process.stderr.write(`${text}\n`),
  isTty: process.stderr.isTTY === true && process.stdout.isTTY === true,
  now: () => Date.now(),
}

/** @param args without node and script. Resolves with the exit code; never throws. */
export async function main(args: readonly string[], terminal: Terminal = realTerminal): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok
  const program = new Command('cxrlab')
  const config = readConfig()
  const context: Context = {
    terminal,
    config,
    api: () => createApiClient(program.opts<{ api: string }>().api, { apiKey: config.apiKey }),
    json: () => program.opts<{ json: boolean }>().json,
    exit: (code) => {
      exitCode = code
    },
  }
  program
    .description('grids of pretraining experiments on chest X-rays: submit, watch, read results')
    .version(packageJson.version)
    .option('--api <url>', 'address of the api (CXRLAB_API)', config.apiUrl)
    .option('--json', "print the api's answers as JSON", false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.print(text.trimEnd()), writeErr: (text) => terminal.note(text.trimEnd()) })
    .showHelpAfterError('(cxrlab --help tells more)')
  for (const add of [
    addUp,
    addSubmit,
    addWatch,
    addGrids,
    addRuns,
    addControl,
    addCompare,
    addWorkers,
    addDatasets,
    addExport,
    addImport,
    addKeys,
    addGc,
    addMigrate,
  ])
    add(program, context)
  inheritSettings(program)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    return report(error, terminal)
  }
}

/** `--json` and `--api` are taken after the command too; errors of subcommands come back here. */
function inheritSettings(program: Command): void {
  const visit = (command: Command): void => {
    for (const child of command.commands) {
      child.copyInheritedSettings(command)
      visit(child)
    }
  }
  visit(program)
}

function report(error: unknown, terminal: Terminal): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof CliError) {
    // Lines that name a file stand as they are, so that editors can follow them.
    terminal.note(error instanceof GridFileError ? error.message : `cxrlab: ${error.message}`)
    return error.exitCode
  }
  terminal.note(`cxrlab: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  return EXIT.failed
}
