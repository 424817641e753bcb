/** Answers about data sets as text. */
import type { Dataset, DatasetCheck } from '../client/wire.ts'
import { percent, shortId } from './format.ts'
import { renderRows } from './table.ts'

export function renderDatasets(datasets: readonly Dataset[]): string {
  if (datasets.length === 0) return 'no data sets yet; register one with "cxrlab datasets add NAME --kind KIND --root DIR"'
  return renderRows(
    ['name', 'kind', 'split', 'fingerprint', 'registered'],
    datasets.map((one) => [
      one.name,
      one.mimicIv ? `${one.kind} with MIMIC-IV` : one.kind,
      one.splitRule,
      shortId(one.fingerprint),
      one.createdAt,
    ]),
  )
}

export function renderCheck(name: string, check: DatasetCheck): string {
  if (check.problem !== null) return `data set ${name} cannot be prepared: ${check.problem}`
  const warnings = [
    ...(check.changed ? ['its files are no longer those that were registered: register it again'] : []),
    ...check.warnings,
  ]
  return [
    ...warnings.map((warning) => `warning: ${warning}`),
    `data set ${name}: ${check.images} images of ${check.patients} patients, none in two splits`,
    '',
    splitsTable(check),
    '',
    renderRows(
      ['ehr variable', 'known', 'share'],
      Object.entries(check.ehr).map(([variable, known]) => [variable, known, percent(known, check.images)]),
    ),
    '',
    renderRows(['left out or repaired', 'images'], Object.entries(check.notes)),
  ].join('\n')
}

/** One column a split: images, patients, views, then positive images by label. */
function splitsTable({ splits }: DatasetCheck): string {
  const row = (what: string, of: (split: DatasetCheck['splits'][number]) => number) => [what, ...splits.map(of)] as const
  const keys = (of: 'views' | 'positives') => Object.keys(splits[0]?.[of] ?? {})
  return renderRows(
    ['', ...splits.map(({ split }) => split)],
    [
      row('images', ({ images }) => images),
      row('patients', ({ patients }) => patients),
      ...keys('views').map((view) => row(`view ${view}`, ({ views }) => views[view] ?? 0)),
      ...keys('positives').map((label) => row(label, ({ positives }) => positives[label] ?? 0)),
    ],
  )
}
