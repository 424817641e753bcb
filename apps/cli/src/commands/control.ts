/** What people do to runs: pause, resume, cancel, retry, priority; for a run, a grid, or all runs that flags select. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type ControlAction, RUN_STATES } from '#libs/runs'
import { parseAnswer } from '../client/api-client.ts'
import { type Outcome, outcomeSchema } from '../client/wire.ts'
import { ApiProblemError, CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import { renderOutcome } from '../render/outcome.ts'
import { type Context, printAnswer } from './context.ts'

const RUN_ID = /^[0-9a-f]{6,64}$/

const DESCRIPTIONS: Readonly<Record<ControlAction, string>> = {
  pause: 'stop with a checkpoint and free the device; what does not run yet is held',
  resume: 'go on after a pause',
  cancel: 'stop for good; runs of a grid that another live grid wants are left alone',
  retry: 'try again what ended without success, with what is above it',
  priority: 'move runs in the line: -100 to 100, higher first',
}

interface Selection {
  readonly grid?: string
  readonly kind?: string
  readonly state?: string
  readonly all?: true
  /** Of `priority` alone. */
  readonly to?: number
}

export function addControl(program: Command, context: Context): void {
  for (const [action, description] of Object.entries(DESCRIPTIONS) as [ControlAction, string][]) {
    const command = program
      .command(action)
      .description(description)
      .argument('[run-or-grid]', 'id or prefix of either, or name of a grid')
      .option('--grid <grid>', 'instead: the grid, or with further conditions its runs')
      .addOption(new Option('--kind <kind>', 'instead: runs of this kind').choices(['prepare', 'pretrain', 'evaluate']))
      .addOption(new Option('--state <state>', 'instead: runs in this state').choices(RUN_STATES))
      .option('--all', 'instead: every run of the lab')
      .action(async (id: string | undefined, selection: Selection) => await control(context, action, id, selection))
    if (action === 'priority') command.requiredOption('--to <priority>', 'the new priority', priorityNumber)
  }
}

async function control(context: Context, action: ControlAction, id: string | undefined, selection: Selection): Promise<void> {
  const answer = await send(context, action, target(id, selection), selection.to)
  const outcome = parseAnswer(outcomeSchema, answer)
  printAnswer(context, answer, () => renderOutcome(action, outcome))
  if (didNothing(outcome)) context.exit(EXIT.refused)
}

/** Refusals beside changes are ordinary: a part of a grid has always ended. */
function didNothing({ changed, asked, refused }: Outcome): boolean {
  return changed + asked === 0 && refused > 0
}

type Target =
  | { readonly id: string }
  | { readonly grid: string }
  | { readonly filter: Readonly<Record<string, string>>; readonly all?: true }

/** What is meant. `--grid` alone is the grid as a whole, as its name would be. @throws CliError where it is not said, or twice. */
function target(id: string | undefined, { grid, kind, state, all }: Selection): Target {
  const filter = {
    ...(grid !== undefined && { grid }),
    ...(kind !== undefined && { kind }),
    ...(state !== undefined && { state }),
  }
  const conditions = Object.keys(filter).length
  if (id !== undefined && conditions === 0 && all === undefined) return { id }
  if (id !== undefined) throw usage('name a run or grid, or select runs by flags, not both')
  if (all !== undefined && conditions > 0) throw usage('--all means every run of the lab; leave the other flags out')
  if (all !== undefined) return { filter, all }
  if (conditions === 0) throw usage('name a run or grid, or select runs by --grid, --kind, --state or --all')
  return grid !== undefined && conditions === 1 ? { grid } : { filter }
}

async function send(context: Context, action: ControlAction, meant: Target, to: number | undefined): Promise<unknown> {
  const api = context.api()
  const priority = to === undefined ? {} : { priority: to }
  const body = to === undefined ? undefined : priority
  if ('filter' in meant) return await api.post('/v1/runs/actions', { action, ...meant, ...priority })
  if ('grid' in meant) return await api.post(`/v1/grids/${encodeURIComponent(meant.grid)}/${action}`, body)
  // An id may be a run's or a grid's; both are hashes, so only one can fit unless the prefix is short.
  if (RUN_ID.test(meant.id)) {
    try {
      return await api.post(`/v1/runs/${meant.id}/${action}`, body)
    } catch (error) {
      if (!(error instanceof ApiProblemError) || error.status !== 404) throw error
    }
  }
  return await api.post(`/v1/grids/${encodeURIComponent(meant.id)}/${action}`, body)
}

const usage = (message: string) => new CliError('usage', EXIT.usage, message)

function priorityNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isInteger(value) || Math.abs(value) > 100) {
    throw new InvalidArgumentError('must be a whole number from -100 to 100')
  }
  return value
}
