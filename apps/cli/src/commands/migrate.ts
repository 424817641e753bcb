import type { Command } from 'commander'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import type { Context } from './context.ts'

/** For jobs that come before the services (compose, Kubernetes): talks to the database itself, not to the api. */
export function addMigrate(program: Command, context: Context): void {
  program
    .command('migrate')
    .description("bring the database of DATABASE_URL to this version's schema; does nothing where it is there already")
    .action(async () => {
      const databaseUrl = context.config.environment.DATABASE_URL
      if (!databaseUrl)
        throw new CliError('config-invalid', EXIT.usage, 'DATABASE_URL: is not set; migrate works on the database itself')
      // Loaded here alone: the database's client would double the start of every other command.
      const { migrate } = await import('#libs/run-store')
      const applied = await migrate(databaseUrl).catch((error: unknown) => {
        throw new CliError('migrate-failed', EXIT.failed, messageOf(error), { cause: error })
      })
      const lines = applied.length === 0 ? ['the schema is up to date'] : applied.map((name) => `applied ${name}`)
      context.terminal.print(context.json() ? JSON.stringify({ applied }) : lines.join('\n'))
    })
}

/** Of several addresses of one host, Node reports each failure; the sum of them has no message of its own. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
