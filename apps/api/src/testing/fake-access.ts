/** Keys and audit events in memory, for the tests of the routes. */
import {
  type ApiKey,
  type ApiKeyStore,
  type ApiRole,
  type AuditEvent,
  type AuditStore,
  hashApiKey,
  newApiKey,
  type Page,
  type Paged,
} from '#libs/runs'

const START = new Date('2026-01-02T03:04:05.678Z')

export interface FakeAccess {
  readonly keys: ApiKeyStore
  readonly audit: AuditStore
  readonly audited: AuditEvent[]
  readonly stored: (ApiKey & { readonly hash: string })[]
  readonly touched: string[]
  /** A key in use, as a request would send it. */
  keyFor(role: ApiRole, owner?: string): string
}

export function fakeAccess(): FakeAccess {
  const stored: (ApiKey & { readonly hash: string })[] = []
  const audited: AuditEvent[] = []
  const touched: string[] = []
  const add = (key: Pick<ApiKey, 'id' | 'name' | 'owner' | 'role'> & { readonly hash: string }) => {
    const made = { ...key, createdAt: START, lastUsedAt: null, revokedAt: null }
    stored.push(made)
    return made
  }
  return {
    stored,
    audited,
    touched,
    keyFor(role, owner = 'ann') {
      const key = newApiKey()
      add({ id: `key-${stored.length + 1}`, name: `${role}-key`, owner, role, hash: hashApiKey(key) })
      return key
    },
    keys: {
      create: async (key) => add(key),
      findByHash: async (hash) => stored.find((key) => key.hash === hash && key.revokedAt === null),
      list: async () => stored,
      async revoke(id) {
        const at = stored.findIndex((key) => key.id === id && key.revokedAt === null)
        const found = stored[at]
        if (found !== undefined) stored[at] = { ...found, revokedAt: START }
        return found !== undefined
      },
      async touch(id) {
        touched.push(id)
      },
    },
    audit: {
      async record(event) {
        audited.push({ ...event, id: BigInt(audited.length + 1), at: START })
      },
      page: async ({ actor, action, subject }, page) => {
        const fits = (event: AuditEvent) =>
          (actor === undefined || event.actor === actor) &&
          (action === undefined || event.action === action) &&
          (subject === undefined || event.subject === subject)
        return paged([...audited].reverse().filter(fits), page)
      },
    },
  }
}

/** The cursor of the fakes is the number of items before the page. */
export function paged<T>(items: readonly T[], { cursor, limit }: Page): Paged<T> {
  const start = Number(cursor ?? 0)
  const next = start + limit
  return { items: items.slice(start, next), nextCursor: next < items.length ? String(next) : null }
}
