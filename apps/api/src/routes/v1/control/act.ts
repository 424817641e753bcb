/** One action of a person on runs, whatever selects them. */
import type { FastifyRequest } from 'fastify'
import type { ControlAction, ControlOutcome, RunControl, RunSelector } from '#libs/runs'

/** `priority` is for the action of that name. Notes the outcome's counts for the audit. */
export async function act(
  control: RunControl,
  request: FastifyRequest,
  action: ControlAction,
  selector: RunSelector,
  priority = 0,
): Promise<ControlOutcome> {
  const outcome = await (action === 'priority' ? control.setPriority(selector, priority) : control[action](selector))
  const { matched, changed, asked, refused } = outcome
  request.auditData = { matched, changed, asked, refused, ...(action === 'priority' && { priority }) }
  return outcome
}

/** Of each action but `priority`, for a run and for a grid. */
export const PLAIN_ACTIONS = {
  pause: 'Stop with a checkpoint and free the device; what does not run yet is held',
  resume: 'Go on after a pause',
  cancel: 'Stop for good; a run that another live grid wants is left alone',
  retry: 'Try again what ended without success, with what is above it',
} as const satisfies Partial<Record<ControlAction, string>>

export type PlainAction = keyof typeof PLAIN_ACTIONS
