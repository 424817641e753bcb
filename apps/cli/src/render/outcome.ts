/** What an action did to runs, as text. Pure. */
import type { Outcome } from '../client/wire.ts'
import { shortId } from './format.ts'
import { renderRows } from './table.ts'

const REASONS: Readonly<Record<string, string>> = {
  'wrong-state': 'its state does not allow it',
  'wanted-by-another-grid': 'another grid wants it',
  'upstream-not-retried': 'a run that it needs did not succeed and is not tried again',
}

export function renderOutcome(action: string, outcome: Outcome): string {
  const { matched, changed, asked, refused, refusals } = outcome
  const what =
    outcome.id !== undefined
      ? `run ${shortId(outcome.id)} is ${outcome.state}`
      : outcome.gridId !== undefined
        ? `grid ${shortId(outcome.gridId)}`
        : 'selection'
  const counts = [`${changed} of ${matched} runs changed`]
  if (asked > 0) counts.push(`${asked} asked of their workers`)
  if (refused > 0) counts.push(`${refused} left as they are`)
  const rows = refusals.map(({ runId, state, reason }) => [shortId(runId), state, REASONS[reason] ?? reason])
  const more = refused > refusals.length ? [`and ${refused - refusals.length} more`] : []
  return [
    `${action}: ${what}: ${counts.join(', ')}`,
    ...(rows.length > 0 ? [renderRows(['run', 'state', 'why'], rows)] : []),
    ...more,
  ].join('\n')
}
