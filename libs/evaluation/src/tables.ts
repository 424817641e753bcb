/**
 * Results of a grid as the paper prints them: a row for each model, a column for each test.
 * The model is plain data; table-formats.ts turns it into text.
 */
import { EvaluationInputError } from './errors.ts'
import { meanAndStd } from './mean-and-std.ts'
import { MACRO } from './multi-label.ts'

/** One number of one experiment. */
export interface TableInput {
  readonly method: string
  readonly backbone: string
  /** Canonical name of the EHR set. */
  readonly ehr: string
  readonly ageEncoding: string | null
  readonly seed: number
  readonly pretrainDataset: string
  readonly dataset: string
  readonly mode: string
  /** Of a transfer, what its classifier was trained as; null for other modes. */
  readonly trainedOn: string | null
  /** Label set. */
  readonly labels: string
  readonly labelFraction: number
  /** A label's name, or `macro`. */
  readonly label: string
  readonly metric: string
  readonly value: number
  readonly low: number | null
  readonly high: number | null
}

export const TABLE_DETAILS = ['macro', 'per-label'] as const
export type TableDetail = (typeof TABLE_DETAILS)[number]

export const SEED_HANDLINGS = ['rows', 'mean'] as const
export type SeedHandling = (typeof SEED_HANDLINGS)[number]

export interface TableOptions {
  /** `macro`: means over labels only; `per-label`: a row for each label too. Default `macro`. */
  readonly detail?: TableDetail
  /** `rows`: a row for each seed; `mean`: mean and standard deviation over seeds, without interval. Default `rows`. */
  readonly seeds?: SeedHandling
}

export interface TableCell {
  readonly value: number
  /** Ends of the interval; null where the value has none. */
  readonly low: number | null
  readonly high: number | null
  /** Over seeds; null for one seed or where seeds have rows of their own. */
  readonly std: number | null
  /** Seeds behind the value. */
  readonly seeds: number
}

export interface TableColumn {
  readonly dataset: string
  readonly mode: string
  readonly trainedOn: string | null
  readonly labels: string
  readonly labelFraction: number
  readonly metric: string
  /** `nih linear findings AUROC`, `chexpert transfer (finetune on mimic) findings AUROC`; a label fraction of 1 is not named. */
  readonly title: string
}

export interface TableRow {
  /** Values of `rowKeys`, in order. */
  readonly keys: readonly string[]
  /** One entry a column; null where the model was not tested so, or not yet. */
  readonly cells: readonly (TableCell | null)[]
}

export interface TableModel {
  /** Names of the row keys that are shown. */
  readonly rowKeys: readonly string[]
  readonly columns: readonly TableColumn[]
  readonly rows: readonly TableRow[]
}

const ROW_KEYS = ['method', 'ehr', 'backbone', 'ageEncoding', 'pretrainDataset', 'seed', 'label'] as const
type RowKey = (typeof ROW_KEYS)[number]
/** Shown even where all rows agree; the others only where they vary. */
const ALWAYS: readonly RowKey[] = ['method', 'ehr']

const METRIC_TITLES: Readonly<Record<string, string>> = { auroc: 'AUROC', auprc: 'AUPRC' }

const keyText = (row: TableInput, key: RowKey): string => String(row[key] ?? '-')
const join = (parts: readonly unknown[]) => JSON.stringify(parts)

/** A share as a percentage without rounding noise: .05 -> `5 %`. */
export const percentText = (share: number): string => `${Number((100 * share).toPrecision(6))} %`

function columnOf({ dataset, mode, trainedOn, labels, labelFraction, metric }: TableInput): TableColumn {
  const share = labelFraction < 1 ? [percentText(labelFraction)] : []
  const from = trainedOn ? [`(${trainedOn})`] : []
  const title = [dataset, mode, ...from, labels, ...share, METRIC_TITLES[metric] ?? metric].join(' ')
  return { dataset, mode, trainedOn, labels, labelFraction, metric, title }
}

function shownKeys(inputs: readonly TableInput[], seeds: SeedHandling): RowKey[] {
  return ROW_KEYS.filter((key) => {
    if (key === 'seed' && seeds === 'mean') return false
    return ALWAYS.includes(key) || new Set(inputs.map((row) => keyText(row, key))).size > 1
  })
}

function cellOf(
  found: readonly TableInput[],
  row: readonly string[],
  column: TableColumn,
  seeds: SeedHandling,
): TableCell | null {
  const first = found[0]
  if (first === undefined) return null
  if (new Set(found.map((input) => input.seed)).size < found.length) {
    throw new EvaluationInputError(`two results for ${row.join(' ')} under "${column.title}"`)
  }
  if (seeds === 'rows' || found.length === 1) {
    return { value: first.value, low: first.low, high: first.high, std: null, seeds: 1 }
  }
  const { mean, std, count } = meanAndStd(found.map((input) => input.value))
  return { value: mean, low: null, high: null, std, seeds: count }
}

/**
 * Table of results: rows are method and EHR set, with backbone, age encoding, pretraining data set, seed and label where they
 * vary; columns are data set x evaluation x labels x metric. Rows and columns stand in the order in which they first come.
 * @throws EvaluationInputError where two results claim one cell.
 */
export function buildTable(inputs: readonly TableInput[], { detail = 'macro', seeds = 'rows' }: TableOptions = {}): TableModel {
  const chosen = detail === 'macro' ? inputs.filter((input) => input.label === MACRO) : inputs
  const keys = shownKeys(chosen, seeds)
  const rows = new Map<string, readonly string[]>()
  const columns = new Map<string, TableColumn>()
  const found = new Map<string, TableInput[]>()
  for (const input of chosen) {
    const row = keys.map((key) => keyText(input, key))
    const column = columnOf(input)
    rows.set(join(row), row)
    columns.set(column.title, column)
    const at = join([row, column.title])
    const here = found.get(at)
    if (here) here.push(input)
    else found.set(at, [input])
  }
  const list = [...columns.values()]
  const cells = (row: readonly string[]) =>
    list.map((column) => cellOf(found.get(join([row, column.title])) ?? [], row, column, seeds))
  return { rowKeys: keys, columns: list, rows: [...rows.values()].map((row) => ({ keys: row, cells: cells(row) })) }
}
