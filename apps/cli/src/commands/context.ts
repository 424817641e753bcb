/** What every command works with. */
import type { ApiClient } from '../client/api-client.ts'
import type { CliConfig } from '../config.ts'
import type { ExitCode } from '../exit-codes.ts'

export interface Terminal {
  /** Answers, on standard output. */
  print(text: string): void
  /** Notes and warnings, on standard error, so that answers can be piped. */
  note(text: string): void
  readonly isTty: boolean
  now(): number
}

export interface Context {
  readonly terminal: Terminal
  readonly config: CliConfig
  /** Of the address that `--api` or the environment names. @throws CliError for a bad address. */
  api(): ApiClient
  /** `--json` was given: answers are printed as the api sends them. */
  json(): boolean
  /** Sets the exit code of a command that did its work. */
  exit(code: ExitCode): void
}

/** Prints the api's own answer with `--json`, else the view that people read. */
export function printAnswer(context: Context, raw: unknown, view: () => string): void {
  context.terminal.print(context.json() ? JSON.stringify(raw, null, 2) : view())
}
