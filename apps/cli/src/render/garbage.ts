/** A collection of garbage as text. Pure. */
import type { GarbageReport } from '../client/wire.ts'
import { bytes } from './format.ts'
import { renderRows } from './table.ts'

const REASONS: Readonly<Record<string, string>> = {
  'unknown-run': 'of runs that the lab does not know',
  'unwanted-run': 'of unsuccessful runs that no grid wants',
  unreferenced: 'of ended runs, named by nothing',
}

export function renderGarbage(report: GarbageReport): string {
  const { dryRun, objects, sizeBytes, garbage, unfinished, unrecognised, doubtfulRuns, complete } = report
  const rows: (readonly (string | number)[])[] = Object.entries(garbage)
    .filter(([, sum]) => sum.objects > 0)
    .map(([reason, sum]) => [REASONS[reason] ?? reason, sum.objects, bytes(sum.sizeBytes)])
  if (unfinished.count > 0) rows.push(['writes that were never finished', unfinished.count, bytes(unfinished.sizeBytes)])
  const lines = [`looked at ${objects} objects, ${bytes(sizeBytes)}`]
  if (rows.length === 0) lines.push('no garbage')
  else lines.push(renderRows([dryRun ? 'would go' : 'went', 'objects', 'size'], rows))
  if (unrecognised > 0) lines.push(`${unrecognised} objects belong to no run and were left alone`)
  if (doubtfulRuns.length > 0) lines.push(`kept whole, as a manifest cannot be read: ${doubtfulRuns.join(', ')}`)
  if (!complete) lines.push('there is more than the server takes in one call')
  return lines.join('\n')
}
