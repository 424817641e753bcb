/** Answers of the api as text. Pure: the time is given. */
import type { Grid, Run, RunDetail, Submitted, Why } from '../client/wire.ts'
import { bytes, duration, elapsed, percent, shortId } from './format.ts'
import { renderRows } from './table.ts'

export function renderSubmitted(grid: Submitted, name: string): string {
  const status = grid.dryRun ? 'nothing was written' : grid.created ? 'submitted' : 'was there already, nothing was written'
  const rows = Object.entries(grid.byKind).map(
    ([kind, counts]) => [kind, counts.new, counts.reused, counts.joined, counts.retried] as const,
  )
  const table = renderRows(['runs', 'new', 'reused', 'joined', 'retried'], rows)
  const warnings = grid.warnings.map((warning) => `warning: ${warning}`)
  const next = grid.dryRun ? [] : [`follow it with: cxrlab watch ${shortId(grid.gridId)}`]
  return [...warnings, `grid ${shortId(grid.gridId)} "${name}": ${grid.points} points, ${status}`, table, ...next].join('\n')
}

export function renderGrids(grids: readonly Grid[]): string {
  if (grids.length === 0) return 'no grids yet; submit one with "cxrlab submit FILE"'
  const rows = grids.map((grid) => [
    shortId(grid.id),
    grid.name,
    grid.points,
    countsText(grid.runs),
    grid.ended ? 'ended' : 'at work',
    grid.createdAt,
  ])
  return renderRows(['grid', 'name', 'points', 'runs', 'state', 'created'], rows)
}

export function renderRuns(runs: readonly Run[], now: number): string {
  if (runs.length === 0) return 'no runs'
  const rows = runs.map((run) => [
    shortId(run.id),
    run.state,
    run.title,
    run.progress === null || run.state !== 'running' ? '' : percent(run.progress.done, run.progress.total),
    elapsed(run.startedAt, run.endedAt, now),
    run.message ?? '',
  ])
  return renderRows(['run', 'state', 'title', 'done', 'time', 'message'], rows)
}

export function renderRun(run: RunDetail, now: number): string {
  const facts: (readonly [string, string])[] = [
    ['run', run.id],
    ['title', run.title],
    ['state', run.message === null ? run.state : `${run.state}: ${run.message}`],
    ['time', elapsed(run.startedAt, run.endedAt, now)],
    ['progress', run.progress === null ? '' : `${run.progress.done} of ${run.progress.total} ${run.progress.unit}`],
    ['data set', run.dataset ?? ''],
    ['needs', run.upstream.map(({ id, kind, state }) => `${kind} ${shortId(id)} (${state})`).join(', ')],
    ['needed by', run.downstream === 0 ? '' : `${run.downstream} run${run.downstream === 1 ? '' : 's'}`],
    ['grids', run.grids.map(({ id, name }) => `${name} (${shortId(id)})`).join(', ')],
    [
      'summary',
      Object.entries(run.summary)
        .map(([name, value]) => `${name} ${value}`)
        .join(', '),
    ],
    ['artifacts', run.artifacts.map(({ name, sizeBytes }) => `${name} (${bytes(sizeBytes)})`).join(', ')],
  ]
  const attempts = run.attemptList.map((attempt) => [
    attempt.number,
    attempt.ending ?? attempt.state,
    elapsed(attempt.startedAt, attempt.endedAt, now),
    attempt.worker ?? '',
    attempt.message ?? '',
  ])
  const head = facts.filter(([, value]) => value !== '').map(([name, value]) => `${name.padEnd(10)} ${value}`)
  return [
    ...head,
    ...(attempts.length === 0 ? [] : ['', renderRows(['attempt', 'ending', 'time', 'worker', 'message'], attempts)]),
  ].join('\n')
}

export function renderWhy(why: Why): string {
  const lines = [`${why.state}: ${why.sentence}`]
  for (const run of why.waitsFor) {
    const share = run.progress === null ? '' : `, ${percent(run.progress, 1)} done`
    lines.push(`  waits for ${run.kind} ${shortId(run.id)} (${run.state}${share}${estimate(', ends', run.end)})`)
  }
  if (why.runsAhead !== null) lines.push(`  runs ahead: ${why.runsAhead}`)
  if (why.workersOfClass !== null) lines.push(`  workers that could take it: ${why.workersOfClass}`)
  if (why.hold) lines.push(`  held by the scheduler: ${why.hold}`)
  if (why.start) lines.push(`  should start${estimate('', why.start)}`)
  if (why.rootCause !== null) {
    lines.push(
      `  first failure: ${why.rootCause.kind} ${shortId(why.rootCause.id)}${why.rootCause.message ? `: ${why.rootCause.message}` : ''}`,
    )
  }
  return lines.join('\n')
}

/** ` in 12m 00s (p50), 30m 00s (p90)`; empty where unknown. */
function estimate(word: string, seconds: Why['start']): string {
  return seconds ? `${word} in ${duration(1000 * seconds.p50)} (p50), ${duration(1000 * seconds.p90)} (p90)` : ''
}

/** `12 succeeded, 3 running`, states without runs left out. */
export function countsText(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
  return parts.length === 0 ? 'none' : parts.join(', ')
}
