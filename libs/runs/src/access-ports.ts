/** Ports of API keys and of the audit trail. */
import type { Page, Paged } from './ports.ts'

/** Each role may do what those before it may. */
export const API_ROLES = ['read', 'submit', 'admin'] as const
export type ApiRole = (typeof API_ROLES)[number]

export interface ApiKey {
  readonly id: string
  /** What it is for, in its owner's words. */
  readonly name: string
  /** Owner of the grids that are submitted with it. */
  readonly owner: string
  readonly role: ApiRole
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
}

export interface ApiKeyStore {
  /** `hash`: hex SHA-256 of the secret, which is not stored. Throws where a key with this hash exists. */
  create(key: Pick<ApiKey, 'id' | 'name' | 'owner' | 'role'> & { readonly hash: string }): Promise<ApiKey>
  /** Undefined for unknown and for revoked keys. */
  findByHash(hash: string): Promise<ApiKey | undefined>
  /** Oldest first, revoked ones too. */
  list(): Promise<readonly ApiKey[]>
  /** False where no such key is alive. */
  revoke(id: string): Promise<boolean>
  /** Notes its use, at most once a minute. */
  touch(id: string): Promise<void>
}

export interface AuditEvent {
  readonly id: bigint
  readonly at: Date
  /** Owner of the key, or `local`. */
  readonly actor: string
  /** `grid.submit`, `run.cancel`, `key.create`, ... */
  readonly action: string
  /** Id of what was acted on. */
  readonly subject: string
  /** Ids, states, counts; no secret, no patient-derived value. */
  readonly data: Readonly<Record<string, string | number | boolean | null>>
}

export interface AuditStore {
  record(event: Omit<AuditEvent, 'id' | 'at'>): Promise<void>
  /** Newest first. */
  page(
    filter: { readonly actor?: string; readonly action?: string; readonly subject?: string },
    page: Page,
  ): Promise<Paged<AuditEvent>>
}
