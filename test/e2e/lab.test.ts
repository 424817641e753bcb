/** The whole lab through HTTP: data in, a grid submitted, runs made by real processes, results out. */

import { existsSync } from 'node:fs'
import { chmod, cp, mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makePhantomNih } from '#libs/datasets'
import { type ApiClient, createApiClient } from '../../apps/cli/src/client/api-client.ts'
import { watchGrid } from '../../apps/cli/src/commands/watch.ts'
import { type Lab, startLab } from '../../apps/cli/src/lab/start-lab.ts'

const SAMPLE = fileURLToPath(new URL('../../../shared/data/nih-chestxray14-sample', import.meta.url))
const hasSample = existsSync(SAMPLE)
if (!hasSample) console.warn('the real-image test is skipped: no folder shared/data/nih-chestxray14-sample beside the repository')

/** Small enough for a test, with every part real: ViT, MSN loss, ONNX engine, Postgres, queue, folder store. */
const TINY = {
  pretrain: { batch: 16, epochs: 1, prototypes: { count: 16 }, backbone: { depth: 2 } },
  evaluate: { epochs: 5, bootstrap: { resamples: 50 } },
}
const grid = (name: string, dataset: string, ehr: string[], labels: string[]) => ({
  name,
  preset: 'tiny-cpu',
  dataset,
  method: ['msn', 'none'],
  ehr,
  overrides: TINY,
  evaluations: [{ mode: ['linear-cached'], labels }],
})

interface Submitted {
  gridId: string
  created: boolean
  points: number
  byKind: Record<'prepare' | 'pretrain' | 'evaluate', { new: number; reused: number; joined: number; retried: number }>
}

let home: string
let lab: Lab
let api: ApiClient

const display = { update: () => undefined, note: () => undefined, close: () => undefined }
const untilEnded = (gridId: string) => watchGrid(gridId, { api, display, now: Date.now, pause: (ms) => delay(Math.min(ms, 200)) })
const submit = async (request: unknown) => (await api.post('/v1/grids', request)) as Submitted

interface Result {
  readonly metric: string
  readonly value: number
  readonly low: number
  readonly high: number
}
/** All cells of a grid's table. */
async function resultsOf(gridId: string): Promise<Result[]> {
  const rows = JSON.parse(await api.text(`/v1/grids/${gridId}/results?format=json`)) as { results: Result[] }[]
  return rows.flatMap(({ results }) => results)
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'cxrlab-e2e-'))
  // As root, the embedded Postgres runs as another user, who must be able to pass through.
  await chmod(home, 0o711)
  await makePhantomNih(join(home, 'data/phantom'), { images: 96, patients: 72, seed: 3 })
  const datasetRoots = [join(home, 'data'), ...(hasSample ? [SAMPLE] : [])]
  lab = await startLab({ dir: join(home, 'lab'), port: 0, datasetRoots, environment: process.env })
  api = createApiClient(lab.apiUrl)
  await api.post('/v1/datasets', { name: 'phantom', kind: 'nih14', root: join(home, 'data/phantom') })
}, 120_000)

afterAll(async () => {
  const running = Object.values(lab?.processes() ?? {})
  await lab?.stop()
  for (const pid of running)
    if (pid !== undefined) expect(() => process.kill(pid, 0), `process ${pid} outlived the lab`).toThrow()
  await rm(home, { recursive: true, force: true })
})

describe('a grid through HTTP', () => {
  it('runs to results, is the same grid when posted again, and grows by new points only', async () => {
    const small = grid('small', 'phantom', ['vanilla'], ['sex'])
    const first = await submit(small)
    expect(first).toMatchObject({
      created: true,
      points: 2,
      byKind: { prepare: { new: 1 }, pretrain: { new: 2 }, evaluate: { new: 2 } },
    })
    const ended = await untilEnded(first.gridId)
    expect(ended.runs).toMatchObject({ succeeded: 5, failed: 0, 'upstream-failed': 0 })

    const again = await submit(small)
    expect(again).toMatchObject({ gridId: first.gridId, created: false, byKind: { evaluate: { new: 0, reused: 2 } } })

    const bigger = await submit(grid('bigger', 'phantom', ['vanilla', 'sex'], ['sex', 'findings']))
    expect(bigger).toMatchObject({
      created: true,
      points: 6,
      byKind: { prepare: { new: 0, reused: 1 }, pretrain: { new: 1, reused: 2 }, evaluate: { new: 4, reused: 2 } },
    })
    expect((await untilEnded(bigger.gridId)).runs).toMatchObject({ succeeded: 10 })

    const results = await resultsOf(bigger.gridId)
    // MSN with two EHR sets and random initialisation, on two label sets, in two metrics.
    expect(results).toHaveLength(3 * 2 * 2)
    for (const { value, low, high } of results) {
      expect(value).toBeGreaterThan(0)
      expect(low).toBeLessThanOrEqual(value)
      expect(high).toBeGreaterThanOrEqual(value)
      expect(high).toBeLessThanOrEqual(1)
    }
    for (const format of ['table', 'csv', 'latex', 'markdown']) {
      expect(await api.text(`/v1/grids/${bigger.gridId}/results?format=${format}`)).toMatch(/vanilla/i)
    }
  }, 240_000)

  it('refuses what cannot be, with code and path, and writes nothing', async () => {
    const before = await api.get('/v1/grids')
    const bad = { ...grid('bad', 'phantom', ['position'], ['sex']), backbone: ['vit-huge'] }
    await expect(submit(bad)).rejects.toMatchObject({ status: 422, problems: [{ path: '/backbone/0' }] })
    await expect(submit(grid('bad', 'phantom', ['position'], ['sex']))).rejects.toMatchObject({
      status: 422,
      problems: [{ path: '/ehr/0', code: 'variable-not-in-dataset' }],
    })
    expect(await api.get('/v1/grids')).toEqual(before)
  })

  it('fails a truncated image as a spec error that names the file, and its dependents by the run that failed', async () => {
    const root = join(home, 'data/broken')
    await cp(join(home, 'data/phantom'), root, { recursive: true })
    const folder = join(root, 'images_001/images')
    const image = (await readdir(folder)).filter((name) => name.endsWith('.png')).sort()[5]!
    await truncate(join(folder, image), 300)
    await api.post('/v1/datasets', { name: 'broken', kind: 'nih14', root })
    const { gridId } = await submit({ ...grid('broken', 'broken', ['vanilla'], ['sex']), method: ['msn'] })
    const ended = await untilEnded(gridId)
    expect(ended.runs).toMatchObject({ failed: 1, 'upstream-failed': 2 })
    const { items } = (await api.get(`/v1/runs?grid=${gridId}`)) as { items: { id: string; kind: string; message: string }[] }
    const prepare = items.find(({ kind }) => kind === 'prepare')!
    expect(prepare.message).toContain(image)
    const evaluate = items.find(({ kind }) => kind === 'evaluate')!
    const why = (await api.get(`/v1/runs/${evaluate.id}/why`)) as { rootCause: { id: string } }
    expect(why.rootCause.id).toBe(prepare.id)
  }, 120_000)

  it('shows runs by state and step times in /metrics, and no patient in any log', async () => {
    expect(await api.text('/metrics')).toMatch(/cxrlab_runs\{[^}]*state="succeeded"[^}]*\} [1-9]/)
    const worker = await (await fetch(lab.workerMetricsUrl)).text()
    expect(worker).toMatch(/cxrlab_step_duration_seconds_count\{[^}]*method="msn"[^}]*\} [1-9]/)
    expect(worker).toMatch(/cxrlab_images_total\{[^}]*method="msn"[^}]*\} [1-9]/)
    expect(worker).toMatch(/cxrlab_loss\{[^}]*method="msn"[^}]*\} \d/)
    const table = await readFile(join(home, 'data/phantom/Data_Entry_2017.csv'), 'utf8')
    const images = table
      .split('\n')
      .slice(1)
      .flatMap((line) => line.split(',', 1))
      .filter(Boolean)
    expect(images.length).toBeGreaterThan(50)
    for (const file of await readdir(lab.logs)) {
      // The one image that a test broke on purpose is named by its path, as a broken input file should be.
      const log = (await readFile(join(lab.logs, file), 'utf8')).split('\n').filter((line) => !line.includes('spec-error'))
      const named = images.filter((image) => log.some((line) => line.includes(image)))
      expect(named, `${file} names images`).toEqual([])
    }
  })
})

describe('real chest X-rays', () => {
  it.skipIf(!hasSample)(
    'random features of the NIH sample tell AP from PA (skipped where the sample is absent)',
    async () => {
      await api.post('/v1/datasets', { name: 'nih', kind: 'nih14', root: SAMPLE })
      const { gridId } = await submit({
        name: 'real',
        preset: 'tiny-cpu',
        dataset: 'nih',
        method: ['none'],
        evaluations: [{ mode: ['linear-cached'], labels: ['view'] }],
      })
      expect((await untilEnded(gridId)).runs).toMatchObject({ succeeded: 3 })
      const auroc = (await resultsOf(gridId)).find(({ metric }) => metric === 'auroc')
      expect(auroc?.value).toBeGreaterThan(0.85)
    },
    180_000,
  )
})
