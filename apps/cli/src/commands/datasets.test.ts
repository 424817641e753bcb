import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { EXIT } from '../exit-codes.ts'
import { cli } from '../testing/run-cli.ts'

const DATASET = {
  name: 'mimic',
  kind: 'mimic-cxr',
  fingerprint: 'f'.repeat(64),
  splitRule: 'file',
  mimicIv: true,
  createdAt: 'now',
}
const CHECK = { problem: null, changed: false, images: 0, patients: 0, splits: [], ehr: {}, notes: {}, warnings: [] }
const ADD = ['datasets', 'add', 'mimic', '--kind', 'mimic-cxr', '--root']

it('sends folders as they are meant from here, and object stores as they are', async () => {
  const { code, seen, out } = await cli([...ADD, 'data/mimic', '--mimic-iv', 's3://lab/iv', '--split', './own.csv'], {
    'POST /v1/datasets': { status: 201, body: DATASET },
  })
  expect([code, out]).toEqual([EXIT.ok, 'data set mimic (mimic-cxr), fingerprint ffffffffffff'])
  expect(JSON.parse(seen[0]?.body ?? '')).toEqual({
    name: 'mimic',
    kind: 'mimic-cxr',
    root: resolve('data/mimic'),
    mimicIv: 's3://lab/iv',
    split: resolve('own.csv'),
  })
})

it('--split-rule names a rule, or a file of splits as --split does', async () => {
  const bodyOf = async (rule: string) => {
    const { seen } = await cli([...ADD, '/m', '--split-rule', rule], { 'POST /v1/datasets': { status: 201, body: DATASET } })
    return JSON.parse(seen[0]?.body ?? '{}')
  }
  expect(await bodyOf('icu')).toMatchObject({ splitRule: 'icu' })
  expect(await bodyOf('official')).toMatchObject({ splitRule: 'official' })
  expect(await bodyOf('splits/own.csv')).toEqual({
    name: 'mimic',
    kind: 'mimic-cxr',
    root: '/m',
    split: resolve('splits/own.csv'),
  })
})

it.each([
  ['an unknown kind', ['datasets', 'add', 'x', '--kind', 'padchest', '--root', '/x']],
  ['a split table twice', [...ADD, '/m', '--split', 'a.csv', '--split-rule', 'b.csv']],
])('refuses %s before it asks the server', async (_what, args) => {
  const { code, seen } = await cli(args)
  expect([code, seen]).toEqual([EXIT.usage, []])
})

it.each([
  ['is sound', CHECK, EXIT.ok],
  ['cannot be prepared', { ...CHECK, problem: 'a table is missing' }, EXIT.failed],
  ['changed', { ...CHECK, changed: true }, EXIT.failed],
])('a check of a data set that %s ends as scripts expect', async (_what, body, expected) => {
  const { code } = await cli(['datasets', 'check', 'mimic'], { 'GET /v1/datasets/mimic/check': { status: 200, body } })
  expect(code).toBe(expected)
})
