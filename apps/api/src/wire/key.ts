import { z } from 'zod'
import { API_ROLES, type ApiKey, KEY_WORD, KEY_WORD_RULE } from '#libs/runs'
import { isoTime, wireTime } from './common.ts'

const word = (what: string) => z.string().regex(KEY_WORD, `${what}: ${KEY_WORD_RULE}`)

export const newKeySchema = z
  .strictObject({
    name: word('a name').describe('what the key is for; one key in use a name and owner'),
    owner: word('an owner').describe('whose grids those are that are submitted with it'),
    role: z.enum(API_ROLES).describe('submit may do what read may, admin everything'),
  })
  .meta({ id: 'NewKey' })

export const keySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    owner: z.string(),
    role: z.enum(API_ROLES),
    createdAt: isoTime,
    lastUsedAt: isoTime.nullable().describe('to the minute'),
    revokedAt: isoTime.nullable(),
  })
  .meta({ id: 'Key' })

export const createdKeySchema = keySchema
  .extend({ key: z.string().describe('the key itself; only its hash is kept, so it is shown this once') })
  .meta({ id: 'CreatedKey' })

export function wireKey(key: ApiKey): z.input<typeof keySchema> {
  const { id, name, owner, role } = key
  return {
    id,
    name,
    owner,
    role,
    createdAt: key.createdAt.toISOString(),
    lastUsedAt: wireTime(key.lastUsedAt),
    revokedAt: wireTime(key.revokedAt),
  }
}
