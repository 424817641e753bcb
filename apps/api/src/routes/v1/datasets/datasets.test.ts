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
    ['an object store', () => 's3://bucket/nih', 'root-outside'],
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

  it('resolves MIMIC-IV and a split table inside the roots, and tells neither', async () => {
    const { allowed } = await folders()
    const { app, lab } = await appOnFakes({ datasetRoots: [allowed] })
    const payload = {
      name: 'mine',
      kind: 'mimic-cxr',
      root: join(allowed, 'nih'),
      mimicIv: join(allowed, 'nih/../nih'),
      split: join(allowed, 'file.csv'),
    }
    const answer = await app.inject({ method: 'POST', url: '/v1/datasets', payload })
    expect(answer.json()).toMatchObject({ name: 'mine', splitRule: 'file', mimicIv: true })
    expect(answer.body).not.toContain(allowed)
    const options = { mimicIv: join(allowed, 'nih'), split: join(allowed, 'file.csv'), splitRule: 'file' }
    expect(lab.fingerprinted).toEqual([{ kind: 'mimic-cxr', root: join(allowed, 'nih'), options }])
    expect(lab.registered.at(-1)).toMatchObject({ options })
  })

  it.each([
    ['MIMIC-IV outside', { mimicIv: '/etc' }, '/mimicIv', 'root-outside'],
    ['a split table outside', { split: '/etc/passwd' }, '/split', 'root-outside'],
    ['a folder as split table', { split: 'nih' }, '/split', 'root-missing'],
    ['rule icu without MIMIC-IV', { splitRule: 'icu' }, '/mimicIv', 'option-contradicts'],
    ['an option of another kind', { kind: 'nih14', splitRule: 'icu' }, '/splitRule', 'option-contradicts'],
    ['an unknown rule', { splitRule: 'random' }, '/splitRule', 'unknown-value'],
  ])('refuses %s', async (_what, over, path, code) => {
    const { allowed } = await folders()
    const { app, lab } = await appOnFakes({ datasetRoots: [allowed] })
    const given: Record<string, string> = { ...over }
    if (given.split === 'nih') given.split = join(allowed, 'nih')
    const payload = { name: 'mine', kind: 'mimic-cxr', root: join(allowed, 'nih'), ...given }
    const answer = await app.inject({ method: 'POST', url: '/v1/datasets', payload })
    expect([answer.statusCode, answer.json().errors]).toMatchObject([422, [{ path, code }]])
    expect(lab.fingerprinted).toEqual([])
  })

  it.each([
    ['s3://lab/chest', 201],
    ['s3://lab/chest/mimic', 201],
    ['s3://lab/chest-2', 422],
    ['s3://lab/chest/../other', 422],
    ['s3://lab/chest/%2e%2e/other', 422],
    ['s3://lab/chest/.%2E/other', 422],
    ['s3://lab/chest/x?versionId=1', 422],
    ['s3://lab/chest/#x', 422],
    ['s3://user@lab/chest', 422],
    ['s3://lab@other/chest', 422],
    ['s3://other/chest', 422],
  ])('an object store is allowed where its address is: %s', async (root, status) => {
    const { app } = await appOnFakes({ datasetRoots: ['s3://lab/chest/'] })
    const answer = await app.inject({ method: 'POST', url: '/v1/datasets', payload: { name: 'mine', kind: 'nih14', root } })
    expect(answer.statusCode).toBe(status)
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

describe('GET /v1/datasets/:name/check', () => {
  it('counts with the registered address, and shows none of it', async () => {
    const { app, lab } = await appOnFakes()
    const seen: unknown[] = []
    const { checkDataset } = lab.deps
    lab.deps.checkDataset = async (dataset) => {
      seen.push(dataset)
      const splits = [{ split: 'test', images: 3, patients: 2, views: { PA: 3 }, positives: { Hernia: 0 } }] as const
      return { ...(await checkDataset(dataset)), images: 3, splits, warnings: ['no positive image'] }
    }
    const answer = await app.inject('/v1/datasets/mimic/check')
    expect(answer.json()).toMatchObject({ images: 3, splits: [{ positives: { Hernia: 0 } }], warnings: ['no positive image'] })
    expect(seen).toMatchObject([{ kind: 'mimic-cxr', root: '/secret/mimic', fingerprint: '2'.repeat(64) }])
    expect(answer.body).not.toContain('/secret')
  })

  it('knows no other data set', async () => {
    const { app } = await appOnFakes()
    const answer = await app.inject('/v1/datasets/nowhere/check')
    expect([answer.statusCode, answer.json().code]).toEqual([404, 'unknown-dataset'])
  })
})
