/**
 * The lab of docker-compose.yml, run for real without a container engine: images staged from their Dockerfiles, the compose file's
 * own commands and settings, a smoke grid through them, Prometheus over them, and an orderly stop.
 *
 * Builds two images (about three minutes), so only on request: COMPOSE_TEST=1. Needs weed, redis-server, prometheus and psql.
 */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makePhantomNih } from '#libs/datasets'
import { type ComposeService, readComposeFile } from './compose-file.ts'
import { type LocalCompose, prepareScratch, startLocalCompose } from './local-compose.ts'
import { type StagedImage, stageImage } from './stage-image.ts'

const run = promisify(execFile)
const NEEDED = ['weed', 'redis-server', 'prometheus', 'psql', 'wget', 'python3', 'g++'] as const
const MINUTES = 60_000

const missing = NEEDED.filter((program) => spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status !== 0)
const asked = process.env.COMPOSE_TEST === '1'
if (asked && missing.length > 0) throw new Error(`COMPOSE_TEST=1 needs ${missing.join(', ')}`)
if (!asked) console.warn('the compose lab is not run: it builds two images; COMPOSE_TEST=1 asks for it')

const ENVIRONMENT = {
  POSTGRES_PASSWORD: 'postgrespassword',
  REDIS_PASSWORD: 'redispassword',
  S3_SECRET_ACCESS_KEY: 'storesecret',
  GRAFANA_ADMIN_PASSWORD: 'grafanapassword',
  GRAFANA_DATABASE_PASSWORD: 'readerpassword',
}

describe.skipIf(!asked)('the lab of docker-compose.yml', () => {
  let scratch: string
  let lab: LocalCompose
  let services: Readonly<Record<string, ComposeService>>
  let key: string
  const cxrlab = async (...args: readonly string[]) => {
    const env = { PATH: process.env.PATH, CXRLAB_API: `http://${lab.address('api')}`, CXRLAB_API_KEY: key }
    return (await run(process.execPath, ['apps/cli/bin/cxrlab.mjs', ...args], { env })).stdout
  }

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'cxrlab-compose-'))
    await prepareScratch(scratch)
    services = await readComposeFile('docker-compose.yml', { ...ENVIRONMENT, DATASETS_DIR: join(scratch, 'datasets') })
    const context = join(scratch, 'context')
    // Tracked files alone: what a fresh clone would send to the builder.
    expect(
      spawnSync('sh', ['-c', `mkdir -p ${context} && git ls-files -z | tar --null -T - -c | tar -x -C ${context}`]).status,
    ).toBe(0)
    const note = (line: string) => console.info(line)
    const images: Record<string, StagedImage> = {}
    for (const name of ['api', 'worker']) {
      const { image, build } = services[name] as ComposeService
      const dockerfile = join(context, build?.dockerfile ?? '')
      images[image] = await stageImage({
        dockerfile,
        target: build?.target ?? 'image',
        context,
        scratch: join(scratch, `image-${name}`),
        note,
      })
    }
    await makePhantomNih(join(scratch, 'datasets/phantom'), { images: 60, patients: 40, seed: 1 })
    lab = await startLocalCompose({ services, images, environment: ENVIRONMENT, scratch, configFolder: 'k8s', note })
    const create = ['keys', 'create', '--direct', '--owner', 'lab', '--role', 'admin']
    key = (await lab.exec('api', ['node', 'apps/cli/bin/cxrlab.mjs', ...create])).trim()
  }, 15 * MINUTES)
  afterAll(async () => {
    rmSync(scratch, { recursive: true, force: true })
  }, 2 * MINUTES)

  it('refuses who has no key', async () => {
    expect((await fetch(`http://${lab.address('api')}/v1/grids`)).status).toBe(401)
  })

  it('runs a grid to its end', { timeout: 5 * MINUTES }, async () => {
    await cxrlab('datasets', 'add', 'phantom', '--kind', 'nih14', '--root', join(lab.datasets, 'phantom'))
    await cxrlab('submit', 'test/deploy/smoke.yaml')
    await cxrlab('watch', 'compose-smoke')
    expect(await cxrlab('results', 'compose-smoke', '--format', 'csv')).toMatch(/auroc/)
  })

  it('is scraped by Prometheus with the configuration that it mounts', async () => {
    const query = async (promql: string) => {
      const response = await fetch(`http://${lab.address('prometheus')}/api/v1/query?query=${encodeURIComponent(promql)}`)
      const body = (await response.json()) as { data: { result: { metric: Record<string, string>; value: [number, string] }[] } }
      return body.data.result
    }
    const up = await query('up')
    expect(up.map(({ metric, value }) => [metric.job, value[1]]).sort()).toEqual([
      ['cxrlab-api', '1'],
      ['cxrlab-worker', '1'],
    ])
    expect(await query('cxrlab_runs{state="succeeded"} > 0')).not.toEqual([])
  })

  it('stops in order, each service with exit code 0', { timeout: 2 * MINUTES }, async () => {
    const codes = await lab.stop()
    expect(codes).toMatchObject({ api: 0, scheduler: 0, worker: 0, redis: 0, prometheus: 0 })
  })
})
