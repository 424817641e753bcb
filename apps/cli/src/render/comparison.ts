/** A comparison of two evaluations as text. Pure. */
import type { Comparison } from '../client/wire.ts'
import { shortId } from './format.ts'
import { renderRows } from './table.ts'

export function renderComparison({ first, second, images, patients, resamples, rows }: Comparison): string {
  const table = rows.map(({ label, metric, difference, low, high, p, delong }) => [
    label,
    metric.toUpperCase(),
    signed(difference),
    low === null || high === null ? '' : `${signed(low)} to ${signed(high)}`,
    p === null ? '' : pText(p),
    delong === null ? '' : `${delong.first.toFixed(3)} / ${delong.second.toFixed(3)}`,
    delong === null ? '' : pText(delong.p),
    delong === null ? '' : pText(delong.holm),
  ])
  const head = ['label', 'metric', 'difference', '95 % interval', 'p', 'AUROC', 'DeLong p', 'Holm']
  return [
    `first   ${shortId(first.id)} ${first.title}`,
    `second  ${shortId(second.id)} ${second.title}`,
    `${images} images of ${patients} patients, ${resamples} resamples by patient; differences are first minus second`,
    renderRows(head, table),
  ].join('\n')
}

const signed = (value: number) => `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(3)}`

const pText = (p: number) => (p < 0.0001 ? '<0.0001' : p.toFixed(4))
