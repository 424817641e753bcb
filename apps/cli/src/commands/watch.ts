/** Follows a grid to its end by asking again and again: simple, and it survives a restart of the api. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { type ApiClient, parseAnswer } from '../client/api-client.ts'
import { collectPages } from '../client/pages.ts'
import { type Grid, gridSchema, type Run, runSchema } from '../client/wire.ts'
import { CliError } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { renderRuns } from '../render/views.ts'
import { barDisplay, endedOf, plainDisplay, type WatchDisplay } from '../render/watch-display.ts'
import type { Context } from './context.ts'

const ASK_EVERY_MS = 1000
/** An api that is restarted is away for seconds; one that is away longer is gone. */
const PATIENCE_MS = 60_000
/** More running runs than lines on a screen are of no use. */
const SHOWN_RUNS = 20

export interface WatchDeps {
  readonly api: Pick<ApiClient, 'get'>
  readonly display: WatchDisplay
  readonly now: () => number
  readonly pause: (ms: number) => Promise<void>
}

/** Resolves with the grid as it ended. @throws CliError where the api stays away. */
export async function watchGrid(gridId: string, deps: WatchDeps): Promise<Grid> {
  const { api, display, now, pause } = deps
  let lastAnswer = now()
  for (let id = gridId; ; ) {
    try {
      const grid = parseAnswer(gridSchema, await api.get(`/v1/grids/${encodeURIComponent(id)}`))
      // A name may come to mean a newer grid while we watch.
      id = grid.id
      const running = grid.ended ? [] : await runsOf(api, grid.id, 'running', SHOWN_RUNS)
      lastAnswer = now()
      display.update(grid, running, lastAnswer)
      if (grid.ended) return grid
    } catch (error) {
      const away = error instanceof CliError && error.code === 'api-unreachable'
      if (!away || now() - lastAnswer > PATIENCE_MS || id === gridId) throw error
      display.note('the api does not answer; asking again')
    }
    await pause(ASK_EVERY_MS)
  }
}

/** 0 where every run succeeded. */
export function exitCodeOf(grid: Grid): ExitCode {
  return endedOf(grid).notSucceeded === 0 ? EXIT.ok : EXIT.failed
}

async function runsOf(api: Pick<ApiClient, 'get'>, gridId: string, state: string, limit: number): Promise<readonly Run[]> {
  return (await collectPages(api, '/v1/runs', { grid: gridId, state }, runSchema, limit)).items
}

export function addWatch(program: Command, context: Context): void {
  program
    .command('watch')
    .description('follow a grid to its end; exit code 0 when every run succeeded, 1 when not')
    .argument('<grid>', 'grid id, prefix or name')
    .action(async (gridId: string) => {
      const { terminal } = context
      const api = context.api()
      const bars = terminal.isTty && !context.json()
      const display = bars ? barDisplay(process.stderr) : plainDisplay(terminal.note)
      let grid: Grid
      try {
        grid = await watchGrid(gridId, { api, display, now: terminal.now, pause: delay })
      } finally {
        display.close()
      }
      if (context.json()) terminal.print(JSON.stringify(await api.get(`/v1/grids/${grid.id}`), null, 2))
      else await printEnd(context, api, grid)
      context.exit(exitCodeOf(grid))
    })
}

async function printEnd({ terminal }: Context, api: ApiClient, grid: Grid): Promise<void> {
  const { all, notSucceeded } = endedOf(grid)
  if (notSucceeded === 0) {
    terminal.print(`all ${all} runs succeeded; see them with: cxrlab results ${grid.name}`)
    return
  }
  const lost = [...(await runsOf(api, grid.id, 'failed', SHOWN_RUNS)), ...(await runsOf(api, grid.id, 'cancelled', SHOWN_RUNS))]
  terminal.print(`${notSucceeded} of ${all} runs did not succeed`)
  if (lost.length > 0) terminal.print(renderRuns(lost, terminal.now()))
}
