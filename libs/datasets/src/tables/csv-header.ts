/** The first line of a table. */
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { parse } from 'csv-parse/sync'
import { SpecError } from '#libs/training'
import type { InventoryTable } from '../record.ts'

/** No header is longer. */
const MOST_CHARACTERS = 100_000

/** Names of the columns, in the file's order (.csv or .csv.gz). @throws SpecError where there is no such line. */
export async function csvHeader({ name, files, file }: InventoryTable): Promise<string[]> {
  let columns: string[] | undefined
  try {
    const text = await firstLine(await files.stream(file), file.endsWith('.gz'))
    columns = (parse(text, { bom: true }) as string[][])[0]
  } catch {
    // The line itself stays out of the error.
  }
  if (!columns || new Set(columns).size < columns.length) {
    throw new SpecError('the table has no line of distinct column names', { file: name, line: 1 })
  }
  return columns
}

async function firstLine(bytes: AsyncIterable<Uint8Array>, packed: boolean): Promise<string> {
  const source = Readable.from(bytes)
  const plain = packed ? source.pipe(createGunzip()) : source
  source.once('error', (error) => plain.destroy(error))
  let text = ''
  try {
    for await (const chunk of plain) {
      text += (chunk as Buffer).toString('utf8')
      const end = text.search(/[\r\n]/)
      if (end >= 0) return text.slice(0, end)
      if (text.length > MOST_CHARACTERS) throw new RangeError('the first line has no end')
    }
    return text
  } finally {
    source.destroy()
  }
}
