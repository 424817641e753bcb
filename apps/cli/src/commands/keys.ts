import { randomUUID } from 'node:crypto'
import { type Command, Option } from 'commander'
import { API_ROLES, type ApiRole, hashApiKey, KEY_WORD, KEY_WORD_RULE, newApiKey } from '#libs/runs'
import { parseAnswer } from '../client/api-client.ts'
import { collectPages } from '../client/pages.ts'
import { auditEventSchema, createdKeySchema, keySchema } from '../client/wire.ts'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import { renderAudit, renderKeys } from '../render/access.ts'
import { type Context, printAnswer } from './context.ts'
import { positiveInt } from './runs.ts'

const MOST_KEYS = 10_000

interface NewKey {
  readonly name: string
  readonly owner: string
  readonly role: ApiRole
}

export function addKeys(program: Command, context: Context): void {
  const keys = program.command('keys').description('make, list and revoke API keys (role admin)')

  keys
    .command('create')
    .description('make a key; it is printed once and kept nowhere')
    .requiredOption('--owner <owner>', 'whose grids those are that are submitted with it')
    .addOption(new Option('--role <role>', 'what it may do').choices(API_ROLES).makeOptionMandatory())
    .option('--name <name>', 'what it is for', 'cli')
    .option('--direct', 'write to the database of DATABASE_URL instead of asking the api: for the first key', false)
    .action(async ({ direct, ...key }: NewKey & { direct: boolean }) => {
      const answer = direct ? await createDirectly(context, key) : await context.api().post('/v1/keys', key)
      const made = parseAnswer(createdKeySchema, answer)
      context.terminal.note(`key ${made.id} of ${made.owner} (${made.role}); this is the only time that it is shown`)
      printAnswer(context, answer, () => made.key)
    })

  keys
    .command('list')
    .description('list keys, those revoked too')
    .action(async () => {
      const { items, raw } = await collectPages(context.api(), '/v1/keys', {}, keySchema, MOST_KEYS)
      printAnswer(context, raw, () => renderKeys(items))
    })

  keys
    .command('revoke')
    .description('refuse a key from now on')
    .argument('<id>', 'id of the key, as "keys list" shows it')
    .action(async (id: string) => {
      await context.api().delete(`/v1/keys/${encodeURIComponent(id)}`)
      printAnswer(context, { id, revoked: true }, () => `key ${id} is revoked`)
    })

  program
    .command('audit')
    .description('who changed what, newest first (role admin)')
    .option('--actor <actor>', 'only of this owner/key')
    .option('--action <action>', 'only this, such as run.cancel')
    .option('--subject <id>', 'only about this (full id)')
    .option('--limit <count>', 'at most so many', positiveInt, 50)
    .action(async ({ limit, ...query }: { actor?: string; action?: string; subject?: string; limit: number }) => {
      const { items, raw } = await collectPages(context.api(), '/v1/audit', query, auditEventSchema, limit)
      printAnswer(context, raw, () => renderAudit(items))
    })
}

/** The same answer as the api's. Whoever may write to the database may make keys; the audit says that it was done this way. */
async function createDirectly({ config }: Context, { name, owner, role }: NewKey): Promise<unknown> {
  const databaseUrl = config.environment.DATABASE_URL
  if (databaseUrl === undefined || databaseUrl === '') {
    throw new CliError('usage', EXIT.usage, '--direct writes to the database of DATABASE_URL, which is not set')
  }
  for (const [flag, word] of Object.entries({ '--name': name, '--owner': owner })) {
    if (!KEY_WORD.test(word)) throw new CliError('usage', EXIT.usage, `${flag}: ${KEY_WORD_RULE}`)
  }
  // Loaded here alone: the database's client would double the start of every other command.
  const { assertSchema, openRunStore } = await import('#libs/run-store')
  await reachable(assertSchema(databaseUrl))
  const store = await openRunStore({ databaseUrl, poolSize: 2 })
  try {
    const key = newApiKey()
    const made = await store.apiKeys.create({ id: randomUUID(), name, owner, role, hash: hashApiKey(key) })
    await store.audit.record({ actor: 'database', action: 'key.create', subject: made.id, data: { role, direct: true } })
    return { ...made, createdAt: made.createdAt.toISOString(), key }
  } finally {
    await store.close()
  }
}

async function reachable(check: Promise<void>): Promise<void> {
  try {
    await check
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string }
    throw new CliError(
      'database',
      EXIT.unreachable,
      `DATABASE_URL: ${code === 'ECONNREFUSED' ? 'the database does not answer' : message}`,
      {
        cause: error,
      },
    )
  }
}
