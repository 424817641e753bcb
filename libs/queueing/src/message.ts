import { z } from 'zod'
import type { OutboxMessage } from '#libs/runs'
import { QueueMessageError } from './errors.ts'

/**
 * What a job may be called: BullMQ forbids `:` (it builds its keys with it) and plain integers (its own ids).
 */
const attemptId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'letters, digits, `.`, `_` and `-`, 128 at most')
  .refine((id) => !/^\d+$/.test(id), 'a plain number')
const resourceClass = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'lower-case letters, digits and `-`, 40 at most')
/** BullMQ's range; 0 would run before everything that has a priority. */
const queuePriority = z.int().min(1).max(2_097_151)

/** All that a job carries. */
export const jobDataSchema = z.strictObject({ attemptId })
export type JobData = z.infer<typeof jobDataSchema>

/** @throws QueueMessageError naming the field */
export function checkMessage(
  message: Pick<OutboxMessage, 'attemptId' | 'resourceClass'> & { readonly queuePriority?: number },
): void {
  check('attemptId', attemptId, message.attemptId)
  check('resourceClass', resourceClass, message.resourceClass)
  if (message.queuePriority !== undefined) check('queuePriority', queuePriority, message.queuePriority)
}

export function checkResourceClass(value: string): void {
  check('resourceClass', resourceClass, value)
}

function check(field: string, schema: z.ZodType, value: unknown): void {
  const parsed = schema.safeParse(value)
  if (!parsed.success)
    throw new QueueMessageError(
      field,
      `${JSON.stringify(value)} cannot be queued: ${parsed.error.issues[0]?.message ?? 'not valid'}`,
    )
}
