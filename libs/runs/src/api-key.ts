/** API keys: what they look like, what is kept of them, and what their roles allow. Why a plain hash is enough: docs/adr/0024. */
import { createHash, randomBytes } from 'node:crypto'
import { API_ROLES, type ApiRole } from './access-ports.ts'

const KEY_BYTES = 32
/** The prefix lets logs (redaction of libs/telemetry) and scanners of repositories tell a key from other text. */
const PREFIX = 'cxrlab_'
const PATTERN = /^cxrlab_[A-Za-z0-9_-]{43}$/

/** Names of keys and of their owners: they stand in logs, tables and file names. */
export const KEY_WORD = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/
export const KEY_WORD_RULE = '1 to 63 letters, digits, ".", "_", "@" and "-"'

/** A new key of 256 random bits, to be shown once. */
export function newApiKey(): string {
  return `${PREFIX}${randomBytes(KEY_BYTES).toString('base64url')}`
}

/** Whether the text has a key's form; whether the key exists only the store knows. */
export function isApiKey(text: string): boolean {
  return PATTERN.test(text)
}

/** SHA-256 of a key, 64 hex digits: all that is stored of it. */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

export function roleAllows(role: ApiRole, needed: ApiRole): boolean {
  return API_ROLES.indexOf(role) >= API_ROLES.indexOf(needed)
}
