import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ApiProblemError, GridFileError } from '../errors.ts'
import { aboutFile, explainProblems } from './explain-problems.ts'
import { parseGridFile, readGridFile } from './read-grid-file.ts'

const YAML = `# a grid
name: demo
dataset: nih
ehr: [vanilla, blood]
evaluations:
  - mode: [linear]
    labels:
      - findings
      - views
overrides:
  pretrain:
    views: { focalPx: 33 }
    a/b~c: 1
`

describe('places of fields in a grid file', () => {
  it.each([
    ['/name', 2, 1],
    ['/ehr/1', 4, 16],
    ['/evaluations/0', 6, 5],
    ['/evaluations/0/labels/1', 9, 9],
    ['/overrides/pretrain/views/focalPx', 12, 14],
    ['/overrides/pretrain/a~1b~0c', 13, 5],
  ])('finds %s at %i:%i', (pointer, line, column) => {
    expect(parseGridFile('grid.yaml', YAML).locate(pointer)).toEqual({ line, column })
  })

  it('falls back to the nearest parent of a field that is not there', () => {
    const file = parseGridFile('grid.yaml', YAML)
    expect(file.locate('/evaluations/0/dataset')).toEqual({ line: 6, column: 5 })
    expect(file.locate('/seed')).toEqual({ line: 2, column: 1 })
    expect(file.locate('/evaluations/7')).toEqual({ line: 5, column: 1 })
  })

  it('reads JSON, tabs and all, with the same places', () => {
    const file = parseGridFile('grid.json', '{\n\t"name": "demo",\n\t"seed": [\n\t\t1,\n\t\t"2"\n\t]\n}\n')
    expect(file.value).toEqual({ name: 'demo', seed: [1, '2'] })
    expect(file.locate('/seed/1')).toEqual({ line: 5, column: 3 })
  })

  it('gives the values as YAML means them', () => {
    expect(parseGridFile('grid.yaml', YAML).value).toMatchObject({
      name: 'demo',
      overrides: { pretrain: { views: { focalPx: 33 } } },
    })
  })
})

describe('files that are no grid request', () => {
  it.each([
    ['a list that never ends', 'name: x\nseed: [1\nfoo: 2\n', 'bad.yaml:3:1: '],
    ['a field given twice', 'name: x\nname: y\n', 'bad.yaml:2:1: '],
    ['a tab as indentation', 'evaluations:\n\t- mode: x\n', 'bad.yaml:2:'],
    ['broken JSON', '{"name": "x",\n "seed": }}\n', 'bad.yaml:2:'],
    ['a list', '- a\n- b\n', 'bad.yaml:1:1: '],
    ['nothing', '', 'bad.yaml:1:1: '],
    ['a reference to nothing', 'name: *gone\n', 'bad.yaml:1:'],
  ])('names file and line of %s', (_what, text, start) => {
    let message = ''
    try {
      parseGridFile('bad.yaml', text)
    } catch (error) {
      if (!(error instanceof GridFileError)) throw error
      message = error.message
    }
    expect(message.startsWith(start), message).toBe(true)
  })

  it('refuses references that blow up', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe'].map((pair) => [...pair])) {
      bomb.push(`${name}: &${name} [${Array(10).fill(`*${of}`).join(', ')}]`)
    }
    expect(() => parseGridFile('bomb.yaml', bomb.join('\n'))).toThrow(GridFileError)
  })

  it('says why a file cannot be read', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'cxrlab-grid-'))
    onTestFinished(async () => await rm(dir, { recursive: true }))
    await expect(readGridFile(join(dir, 'none.yaml'))).rejects.toThrow(/none\.yaml: there is no such file/)
    await expect(readGridFile(dir)).rejects.toThrow(/is a folder/)
    await writeFile(join(dir, 'ok.yaml'), 'name: x\n')
    expect((await readGridFile(join(dir, 'ok.yaml'))).value).toEqual({ name: 'x' })
  })
})

describe("the server's problems with a file", () => {
  const file = parseGridFile('grid.yaml', YAML)
  const problems = [
    { path: '/overrides/pretrain/views/focalPx', code: 'focal-not-multiple-of-patch', message: 'is no multiple' },
    { path: '/ehr/1', code: 'unknown-value', message: 'unknown variable' },
  ]

  it('come in the order of the file, one line each, as editors follow them', () => {
    expect(explainProblems(file, problems).split('\n')).toEqual([
      'grid.yaml:4:16: /ehr/1: unknown variable [unknown-value]',
      'grid.yaml:12:14: /overrides/pretrain/views/focalPx: is no multiple [focal-not-multiple-of-patch]',
    ])
  })

  it('are an error about the file; a conflict is not', () => {
    const invalid = aboutFile(file, new ApiProblemError(422, 'grid-invalid', 'two problems', problems))
    expect(invalid).toBeInstanceOf(GridFileError)
    const conflict = new ApiProblemError(409, 'idempotency-conflict', 'used before', [])
    expect(aboutFile(file, conflict)).toBe(conflict)
  })
})
