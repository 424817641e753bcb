/** A table model as text: for terminals, spreadsheets, programs and papers. */
import type { TableCell, TableColumn, TableModel } from './tables.ts'

export const TABLE_FORMATS = ['table', 'csv', 'json', 'latex', 'markdown'] as const
export type TableFormat = (typeof TABLE_FORMATS)[number]

const KEY_TITLES: Readonly<Record<string, string>> = {
  method: 'Method',
  ehr: 'EHR',
  backbone: 'Backbone',
  ageEncoding: 'Age encoding',
  pretrainDataset: 'Pretrained on',
  seed: 'Seed',
  label: 'Label',
}

const EMPTY = '-'

/** Three decimals without the leading zero, as the field prints AUROCs: `.684`, `1.000`, `-.012`. */
export function scoreText(value: number): string {
  return value.toFixed(3).replace(/^(-?)0\./, '$1.')
}

/** `.684 (.669-.701)`, `.684`, or over seeds `.684 +- .003 (3 seeds)`. */
export function cellText(cell: TableCell | null, plusMinus = '+-'): string {
  if (cell === null) return EMPTY
  const value = scoreText(cell.value)
  if (cell.std !== null) return `${value} ${plusMinus} ${scoreText(cell.std)} (${cell.seeds} seeds)`
  return cell.low === null || cell.high === null ? value : `${value} (${scoreText(cell.low)}-${scoreText(cell.high)})`
}

interface TextGrid {
  readonly header: readonly string[]
  readonly body: readonly (readonly string[])[]
}

function textGrid(model: TableModel): TextGrid {
  return {
    header: [...model.rowKeys.map((key) => KEY_TITLES[key] ?? key), ...model.columns.map((column) => column.title)],
    body: model.rows.map((row) => [...row.keys, ...row.cells.map((cell) => cellText(cell))]),
  }
}

function asTable(model: TableModel): string {
  const { header, body } = textGrid(model)
  const widths = header.map((title, i) => Math.max(title.length, ...body.map((row) => row[i]!.length)))
  const line = (row: readonly string[]) =>
    row
      .map((text, i) => text.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()
  return [line(header), widths.map((width) => '-'.repeat(width)).join('  '), ...body.map(line)].join('\n')
}

/** RFC 4180: a field with a comma, a quote or a line break is quoted, quotes are doubled. */
const csvField = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/** Numbers in full, a column each for value, ends of the interval, deviation and number of seeds. */
function asCsv(model: TableModel): string {
  const parts = ['', ' low', ' high', ' std', ' seeds']
  const header = [...model.rowKeys, ...model.columns.flatMap((column) => parts.map((part) => `${column.title}${part}`))]
  const cellFields = (cell: TableCell | null) =>
    cell === null
      ? parts.map(() => '')
      : [cell.value, cell.low, cell.high, cell.std, cell.seeds].map((number) => String(number ?? ''))
  const body = model.rows.map((row) => [...row.keys, ...row.cells.flatMap(cellFields)])
  return [header, ...body].map((row) => row.map(csvField).join(',')).join('\r\n')
}

function asJson(model: TableModel): string {
  const test = ({ dataset, mode, trainedOn, labels, labelFraction, metric }: TableColumn) => ({
    dataset,
    mode,
    trainedOn,
    labels,
    labelFraction,
    metric,
  })
  const rows = model.rows.map((row) => ({
    ...Object.fromEntries(model.rowKeys.map((key, i) => [key, row.keys[i]!])),
    results: row.cells.flatMap((cell, i) => (cell === null ? [] : [{ ...test(model.columns[i]!), ...cell }])),
  }))
  return JSON.stringify(rows, null, 2)
}

const LATEX_WORDS: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
}
const latexText = (text: string) => text.replace(/[\\~^&%$#_{}]/g, (character) => LATEX_WORDS[character] ?? `\\${character}`)

/** A booktabs tabular. */
function asLatex(model: TableModel): string {
  const line = (fields: readonly string[]) => `${fields.join(' & ')} \\\\`
  const header = textGrid(model).header.map(latexText)
  // Cells hold digits and our own signs only, so TeX of our own may stand in them unescaped.
  const body = model.rows.map((row) => [...row.keys.map(latexText), ...row.cells.map((cell) => cellText(cell, '$\\pm$'))])
  const columns = 'l'.repeat(model.rowKeys.length) + 'c'.repeat(model.columns.length)
  const lines = ['\\toprule', line(header), '\\midrule', ...body.map(line), '\\bottomrule']
  return [`\\begin{tabular}{${columns}}`, ...lines, '\\end{tabular}'].join('\n')
}

const markdownText = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('\n', ' ')

function asMarkdown(model: TableModel): string {
  const { header, body } = textGrid(model)
  const line = (row: readonly string[]) => `| ${row.map(markdownText).join(' | ')} |`
  const rule = header.map((_, i) => (i < model.rowKeys.length ? '---' : ':---:'))
  return [line(header), line(rule), ...body.map(line)].join('\n')
}

const RENDERERS: Readonly<Record<TableFormat, (model: TableModel) => string>> = {
  table: asTable,
  csv: asCsv,
  json: asJson,
  latex: asLatex,
  markdown: asMarkdown,
}

/** Text of a table, ending in a line break. No colours. */
export function renderTable(model: TableModel, format: TableFormat): string {
  const end = format === 'csv' ? '\r\n' : '\n'
  return RENDERERS[format](model) + end
}
