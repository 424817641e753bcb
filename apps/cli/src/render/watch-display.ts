/** What `watch` shows: bars on a terminal, a line for each change elsewhere. */
import { MultiBar, Presets, type SingleBar } from 'cli-progress'
import type { Grid, Run } from '../client/wire.ts'
import { rate } from './format.ts'
import { createRateMeter } from './rate-meter.ts'
import { countsText } from './views.ts'

export interface WatchDisplay {
  update(grid: Grid, running: readonly Run[], now: number): void
  /** A remark, such as that the api does not answer. */
  note(text: string): void
  close(): void
}

const ENDED = ['succeeded', 'failed', 'cancelled', 'upstream-failed']
const NOT_SUCCEEDED = ['failed', 'cancelled', 'upstream-failed']

/** Runs in an end state, and all. */
export function endedOf(grid: Grid): { readonly ended: number; readonly all: number; readonly notSucceeded: number } {
  const sum = (states: readonly string[]) => states.reduce((total, state) => total + (grid.runs[state] ?? 0), 0)
  return { ended: sum(ENDED), all: sum(Object.keys(grid.runs)), notSucceeded: sum(NOT_SUCCEEDED) }
}

export function plainDisplay(print: (line: string) => void): WatchDisplay {
  let lastCounts = ''
  const lastTenth = new Map<string, number>()
  return {
    update(grid, running) {
      const counts = countsText(grid.runs)
      if (counts !== lastCounts) {
        const { ended, all } = endedOf(grid)
        print(`${grid.name}: ${ended} of ${all} runs ended (${counts})`)
        lastCounts = counts
      }
      for (const run of running) {
        const tenth =
          run.progress === null || run.progress.total <= 0 ? 0 : Math.floor((10 * run.progress.done) / run.progress.total)
        if (run.progress === null || tenth <= (lastTenth.get(run.id) ?? -1)) continue
        lastTenth.set(run.id, tenth)
        print(`  ${run.title}: ${run.progress.done} of ${run.progress.total} ${run.progress.unit}`)
      }
    },
    note: print,
    close: () => undefined,
  }
}

export function barDisplay(stream: NodeJS.WriteStream): WatchDisplay {
  const bars = new MultiBar(
    {
      stream,
      format: '{bar} {percentage}%  {title}  {detail}',
      hideCursor: true,
      clearOnComplete: false,
      barsize: 24,
      emptyOnZero: true,
    },
    Presets.shades_classic,
  )
  const meter = createRateMeter()
  const ofRuns = new Map<string, SingleBar>()
  let overall: SingleBar | undefined
  return {
    update(grid, running, now) {
      const { ended, all } = endedOf(grid)
      const facts = { title: `grid ${grid.name}`, detail: `${ended} of ${all} runs (${countsText(grid.runs)})` }
      overall ??= bars.create(all, 0, facts)
      overall.setTotal(all)
      overall.update(ended, facts)
      for (const [id, bar] of ofRuns) {
        if (running.some((run) => run.id === id)) continue
        bars.remove(bar)
        ofRuns.delete(id)
      }
      for (const run of running) {
        const { done, total, unit } = run.progress ?? { done: 0, total: 0, unit: 'steps' }
        const perSecond = meter.measure(run.id, done, now)
        const detail = `${done}/${total} ${unit}${perSecond === undefined ? '' : `  ${rate(perSecond)} ${unit}/s`}`
        const bar = ofRuns.get(run.id) ?? bars.create(Math.max(1, total), 0, { title: run.title, detail })
        ofRuns.set(run.id, bar)
        bar.setTotal(Math.max(1, total))
        bar.update(done, { title: run.title, detail })
      }
      bars.update()
    },
    note: (text) => bars.log(`${text}\n`),
    close: () => bars.stop(),
  }
}
