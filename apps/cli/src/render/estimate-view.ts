/** The estimate of a dry run as text. */
import type { WorkEstimate } from '#libs/experiments'
import type { PricedEstimate } from '../estimate/estimate-grid.ts'
import type { EstimateOptions } from '../estimate/options.ts'
import { renderRows } from './table.ts'

const UNITS = ['', ' k', ' M', ' G', ' T', ' P', ' E', ' Z'] as const

/** Three significant figures with a unit of a thousand: `12.3 M`, `456 P`, `0`. */
export function short(value: number): string {
  const power = value < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(value) / 3))
  const scaled = value / 1000 ** power
  return `${power === 0 && Number.isInteger(value) ? value : Number(scaled.toPrecision(3))}${UNITS[power]}`
}

const row = (name: string, { runs, shared, images, flops }: WorkEstimate) =>
  [name, runs, shared, short(images), flops === 0 ? '' : short(flops)] as const

export function renderEstimate(estimate: PricedEstimate, { teraflops, price }: EstimateOptions): string {
  const { byKind, total, sizes } = estimate
  const rows = [...Object.entries(byKind).map(([kind, work]) => row(kind, work)), row('all', total)]
  const hours = `${short(estimate.deviceHours)} device hours at ${teraflops} TFLOP/s`
  const cost = estimate.cost === null ? '' : `, ${estimate.cost.toFixed(2)} at ${price} an hour`
  const taken = Object.entries(sizes).map(([name, { train, validation, test, published }]) => {
    return `${name} ${train}/${validation}/${test}${published ? ' (as published)' : ''}`
  })
  return [
    'estimate of the whole grid, all epochs, whether or not parts of it stand:',
    renderRows(['', 'runs', 'shared', 'images', 'FLOP'], rows),
    `${hours}${cost}`,
    `images for training/validation/test: ${taken.join(', ')}; others: --images NAME=TRAIN/VALIDATION/TEST`,
  ].join('\n')
}
