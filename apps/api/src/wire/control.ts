import { z } from 'zod'
import { CONTROL_ACTIONS, type ControlOutcome, REFUSAL_REASONS } from '#libs/runs'
import { runKindSchema, runStateSchema } from './common.ts'

export const prioritySchema = z.int().min(-100).max(100).describe('-100 to 100, higher first')

const outcomeShape = {
  matched: z.int().describe('runs that were meant'),
  changed: z.int().describe('runs that changed at once'),
  asked: z.int().describe('running runs whose worker was asked; they change within seconds'),
  refused: z.int().describe('runs left as they are'),
  refusals: z
    .array(z.object({ runId: z.string(), state: runStateSchema, reason: z.enum(REFUSAL_REASONS) }))
    .describe('the first 100 of them, and why'),
}

export const selectionOutcomeSchema = z.object(outcomeShape).meta({ id: 'Outcome' })
export const runOutcomeSchema = z
  .object({ id: z.string(), state: runStateSchema.describe('after the action'), ...outcomeShape })
  .meta({ id: 'RunOutcome' })
export const gridOutcomeSchema = z.object({ gridId: z.string(), ...outcomeShape }).meta({ id: 'GridOutcome' })

const MOST_RUNS = 1000

export const selectionActionSchema = z
  .strictObject({
    action: z.enum(CONTROL_ACTIONS),
    priority: prioritySchema.optional().describe('with action "priority" only'),
    filter: z
      .strictObject({
        grid: z.string().min(1).max(120).optional().describe('runs of this grid (id, prefix or name)'),
        kind: runKindSchema.optional(),
        state: runStateSchema.optional(),
        runs: z
          .array(z.string().regex(/^[0-9a-f]{64}$/, 'a full run id'))
          .min(1)
          .max(MOST_RUNS)
          .optional(),
      })
      .describe('all conditions hold'),
    all: z.literal(true).optional().describe('needed where the filter has no condition: every run of the lab'),
  })
  .meta({ id: 'SelectionAction' })

export function wireOutcome(outcome: ControlOutcome): z.input<typeof selectionOutcomeSchema> {
  const { matched, changed, asked, refused } = outcome
  return { matched, changed, asked, refused, refusals: outcome.refusals.map((refusal) => ({ ...refusal })) }
}
