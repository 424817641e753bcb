import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SpecError } from '#libs/training'
import { appOnFakes } from '../../../testing/app.ts'

async function folders() {
  const base = await realpath(await mkdtemp(join(tmpdir(), 'cxrlab-roots-')))
  onTestFinished(async () => await rm(base, { recursive: true }))
  const allowed = join(base, 'allowed')
  await mkdir(join(allowed, 'nih'), { recursive: true })
  await mkdir(join(base, 'allowed-not', 'nih'), { recursive: true })
  await writeFile(join(allowed, 'file.csv'), '')
  await symlink(join(base, 'allowed-not'), join(allowed, 'way-out'))
  return { base, allowed }
}

describe('POST /v1/datasets', () => {
  it('registers a folder inside a root and does not show it', async () => {
    const { allowed } = await folders()
    const { app, lab } = await appOnFakes({ datasetRoots: [allowed] })
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/datasets',
      payload: { name: 'mine', kind: 'nih14', root: join(allowed, 'nih') },
    })
    expect(answer.statusCode).toBe(201)
    expect(answer.json()).toMatchObject({ name: 'mine', kind: 'nih14', fingerprint: '3'.repeat(64) })
    expect(answer.body).not.toContain(allowed)
    expect(lab.registered.at(-1)).toMatchObject({ name: 'mine', root: join(allowed, 'nih') })
  })

  it.each([
    ['a folder outside', (base: string) => join(base, 'allowed-not', 'nih'), 'root-outside'],
    ['a folder outside that only begins alike', (base: string) => join(base, 'allowed-not'), 'root-outside'],
    ['a way out by ..', (base: string) => `${base}/allowed/../allowed-not`, 'root-outside'],
    ['a link that leads out', (base: string) => join(base, 'allowed', 'way-out', 'nih'), 'root-outside'],
    ['a folder outside that does not exist', (base: string) => join(base, 'nowhere'), 'root-outside'],
    ['a folder inside that does not exist', (base: string) => join(base, 'allowed', 'nowhere'), 'root-missing'],
    ['a file', (base: string) => join(base, 'allowed', 'file.csv'), 'root-missing'],
    ['a relative folder', () => 'allowed/nih', 'root-not-absolute'],
  ])('refuses %s without reading it', async (_what, rootOf, code) => {
    const { base, allowed } = await folders()
    const { app, lab } = await appOnFakes({ datasetRoots: [allowed] })
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/datasets',
      payload: { name: 'mine', kind: 'nih14', root: rootOf(base) },
    })
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors).toEqual([{ path: '/root', code, message: expect.any(String) }])
    expect(lab.fingerprinted).toEqual([])
    expect(lab.registered).toHaveLength(2)
  })

  it('allows nothing where no root is configured', async () => {
    const { allowed } = await folders()
    const { app } = await appOnFakes()
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/datasets',
      payload: { name: 'mine', kind: 'nih14', root: allowed },
    })
    expect(answer.json().errors[0].code).toBe('root-outside')
  })

  it.each([
    ['an unknown kind', { name: 'mine', kind: 'padchest', root: '/x' }, '/kind', 'unknown-value'],
    ['a bad name', { name: 'My Data', kind: 'nih14', root: '/x' }, '/name', 'invalid-value'],
    ['an unknown field', { name: 'mine', kind: 'nih14', root: '/x', path: '/y' }, '/path', 'unknown-field'],
    ['a missing field', { name: 'mine', kind: 'nih14' }, '/root', 'missing-field'],
    ['a wrong type', { name: 3, kind: 'nih14', root: '/x' }, '/name', 'wrong-type'],
  ])('refuses %s by its path', async (_what, payload, path, code) => {
    const { app } = await appOnFakes()
    const answer = await app.inject({ method: 'POST', url: '/v1/datasets', payload })
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors).toMatchObject([{ path, code }])
  })

  it('tells file and line where the folder is not what its kind says', async () => {
    const { allowed } = await folders()
    const { app, lab } = await appOnFakes({ datasetRoots: [allowed] })
    lab.deps.fingerprint = async () => {
      throw new SpecError('column "Finding Labels" is missing', { file: 'Data_Entry_2017.csv', line: 1 })
    }
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/datasets',
      payload: { name: 'mine', kind: 'nih14', root: allowed },
    })
    expect(answer.statusCode).toBe(422)
    expect(answer.json()).toMatchObject({ code: 'spec-error', detail: expect.stringContaining('Data_Entry_2017.csv:1') })
    expect(lab.registered).toHaveLength(2)
  })
})

describe('GET /v1/datasets', () => {
  it('lists by name, never the folder', async () => {
    const { app } = await appOnFakes()
    const answer = await app.inject('/v1/datasets')
    expect(answer.json().items.map(({ name }: { name: string }) => name)).toEqual(['mimic', 'nih'])
    expect(answer.body).not.toContain('/secret')
  })
})
