/** API keys: only the hash of the secret is stored. */
import type { ApiKey, ApiKeyStore, ApiRole } from '#libs/runs'
import type { Sql } from './database.ts'

interface KeyRow {
  readonly id: string
  readonly name: string
  readonly owner: string
  readonly role: ApiRole
  readonly created_at: Date
  readonly last_used_at: Date | null
  readonly revoked_at: Date | null
}

const COLUMNS = 'id, name, owner, role, created_at, last_used_at, revoked_at'

const toKey = ({ created_at, last_used_at, revoked_at, ...row }: KeyRow): ApiKey => ({
  ...row,
  createdAt: created_at,
  lastUsedAt: last_used_at,
  revokedAt: revoked_at,
})

const CREATE = `
  INSERT INTO api_key (id, name, owner, role, hash) VALUES ($1::text, $2::text, $3::text, $4::text, $5::text) RETURNING ${COLUMNS}`

// A key that is used a thousand times a minute is written once a minute.
const TOUCH = `
  UPDATE api_key SET last_used_at = clock_timestamp()
  WHERE id = $1::text AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute') RETURNING id`

export function createApiKeyStore(db: Sql): ApiKeyStore {
  return {
    async create({ id, name, owner, role, hash }) {
      const [row] = await db.rows<KeyRow>(CREATE, id, name, owner, role, hash)
      if (!row) throw new Error('the key was not stored')
      return toKey(row)
    },
    async findByHash(hash) {
      const [row] = await db.rows<KeyRow>(`SELECT ${COLUMNS} FROM api_key WHERE hash = $1::text AND revoked_at IS NULL`, hash)
      return row && toKey(row)
    },
    async list() {
      return (await db.rows<KeyRow>(`SELECT ${COLUMNS} FROM api_key ORDER BY created_at, id`)).map(toKey)
    },
    async revoke(id) {
      const revoked = await db.rows(
        'UPDATE api_key SET revoked_at = clock_timestamp() WHERE id = $1::text AND revoked_at IS NULL RETURNING id',
        id,
      )
      return revoked.length > 0
    },
    async touch(id) {
      await db.rows(TOUCH, id)
    },
  }
}
