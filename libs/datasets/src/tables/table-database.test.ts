import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { SpecError } from '#libs/training'
import { folderFiles } from '../files/folder-files.ts'
import { literal, quoted, TableDatabaseError, withTableDatabase } from './table-database.ts'

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'tables-'))
})
afterAll(() => rm(home, { recursive: true, force: true }))

async function tableOf(name: string, text: string) {
  await writeFile(join(home, name), text)
  return { name, file: name, files: folderFiles(home, 'root') }
}
const failureOf = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => expect.unreachable('it did not fail'),
    (error) => error,
  )

it('loads columns by name, with lines, quoted cells and line ends of Windows', async () => {
  const table = await tableOf("a ' b.csv", '\ufeffid,other,note\r\n1,x,"a, ""b"""\r\n2,,\r\n')
  await withTableDatabase(async (database) => {
    await database.load('t', table, ['note', 'id'])
    const rows: unknown[] = []
    for await (const chunk of database.chunks('SELECT rowid::INTEGER + 2, id, note FROM t')) rows.push(...chunk.getRows())
    expect(rows).toEqual([
      [2, '1', 'a, "b"'],
      [3, '2', null],
    ])
  })
})

it.each([
  ['a line before the header', 'made by hand\nid,note\n1,a\n', 'lacks a column (odd.csv:1, id)'],
  ['a short row', 'id,note\n1,a\n2\n3,c\n', 'not valid CSV (odd.csv:3)'],
  ['rows that look like a header', 'id,note\nx,y,z\n1,a\n', 'not valid CSV (odd.csv:2)'],
  ['a column twice', 'id,id\n1,2\n', 'no line of distinct column names (odd.csv:1)'],
  ['nothing', '', 'no line of distinct column names (odd.csv:1)'],
])('%s is refused, where DuckDB left to itself leaves lines out', async (_title, text, problem) => {
  const table = await tableOf('odd.csv', text)
  const error = await failureOf(withTableDatabase((database) => database.load('t', table, ['id'])))
  expect(error).toBeInstanceOf(SpecError)
  expect(error.message).toContain(problem)
})

it('keeps every row of a long table in order, packed or not, and a last line without an end', async () => {
  const rows = Array.from({ length: 120_000 }, (_, at) => `${at},${at % 7 ? 'note' : ''}`).join('\n')
  const plain = await tableOf('long.csv', `id,note\n${rows}`)
  await writeFile(join(home, 'long.csv.gz'), gzipSync(`id,note\n${rows}`))
  for (const table of [plain, { ...plain, name: 'long.csv.gz', file: 'long.csv.gz' }]) {
    await withTableDatabase(async (database) => {
      await database.load('t', table, ['id', 'note'])
      expect(await database.value('SELECT count(*)::INTEGER FROM t WHERE id::INTEGER = rowid')).toBe(120_000)
      expect(await database.value('SELECT count(*)::INTEGER FROM t WHERE note IS NULL')).toBe(Math.ceil(120_000 / 7))
    })
  }
})

it('a row of another width is named by its line, and nothing of it is repeated', async () => {
  const table = await tableOf('wide.csv', 'id,note\n1,a\n2,b\n3,secret,secret\n')
  const error = await failureOf(withTableDatabase((database) => database.load('t', table, ['id'])))
  expect(error).toBeInstanceOf(SpecError)
  expect(error.message).toBe('the table is not valid CSV (wide.csv:4)')
  expect(error.cause).toBeUndefined()
})

it('other failures keep their kind alone: they are not of the table, and are tried again', async () => {
  const table = await tableOf('large.csv', `id,note\n${'1,secret\n'.repeat(200_000)}`)
  const small = { memoryLimitMb: 2, threads: 1 }
  const error = await failureOf(withTableDatabase((database) => database.load('t', table, ['id', 'note']), small))
  expect(error).toBeInstanceOf(TableDatabaseError)
  expect(error.message).toBe('a statement over raw tables failed: Out of Memory Error')
  const wrong = await failureOf(withTableDatabase((database) => database.run("SELECT 'secret'::INTEGER")))
  expect(wrong.message).toBe('a statement over raw tables failed: Conversion Error')
  const chunk = async () => {
    await withTableDatabase(async (database) => {
      for await (const _ of database.chunks("SELECT 'secret'::INTEGER"));
    })
  }
  expect((await failureOf(chunk())).message).toBe('a statement over raw tables failed: Conversion Error')
})

it('quotes names and texts', () => {
  expect([quoted('a"b'), literal("a'b")]).toEqual(['"a""b"', "'a''b'"])
})
