/** Schemas that several resources share. Times are ISO 8601 in UTC. */
import { z } from 'zod'
import { RUN_KINDS } from '#libs/experiments'
import { type Page, RUN_STATES, type StateCounts } from '#libs/runs'

export const problemSchema = z
  .object({
    type: z.string().describe('urn:cxrlab:problem:<code>'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().describe('stable, for programs'),
    errors: z.array(z.object({ path: z.string().describe('JSON pointer of the field'), code: z.string(), message: z.string() })),
    instance: z.string(),
  })
  .meta({ id: 'Problem' })

/** The problem answers that a route documents, by status. */
export function problems<const S extends number>(...statuses: readonly S[]) {
  const answer = {
    description: 'problem document (RFC 9457)',
    content: { 'application/problem+json': { schema: problemSchema } },
  }
  return Object.fromEntries(statuses.map((status) => [status, answer])) as Record<S, typeof answer>
}

/** A query parameter that is `true` or `false`, the latter where it is left out. */
export const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')

export const pageQuery = {
  cursor: z.string().min(1).max(512).optional().describe('nextCursor of the page before'),
  limit: z.coerce.number().int().min(1).max(500).default(50),
}

export function pageOf(query: { readonly cursor?: string | undefined; readonly limit: number }): Page {
  return { cursor: query.cursor ?? null, limit: query.limit }
}

export function pagedSchema<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable().describe('null on the last page') })
}

export const runKindSchema = z.enum(RUN_KINDS)
export const runStateSchema = z.enum(RUN_STATES)

export const stateCountsSchema = z.object(
  Object.fromEntries(RUN_STATES.map((state) => [state, z.int()])) as Record<(typeof RUN_STATES)[number], z.ZodInt>,
)

export const runIdParams = z.object({
  id: z
    .string()
    .regex(/^[0-9a-f]{6,64}$/, 'a run id: 64 hex digits, or at least the first 6')
    .describe('run id or a unique prefix of it'),
})

export const gridIdParams = z.object({
  id: z.string().min(1).max(120).describe('grid id, a unique prefix of it, or the name of a grid'),
})

export const isoTime = z.iso.datetime()

export function wireTime(date: Date | null): string | null {
  return date === null ? null : date.toISOString()
}

export function wireCounts(counts: StateCounts): z.input<typeof stateCountsSchema> {
  return { ...counts }
}
