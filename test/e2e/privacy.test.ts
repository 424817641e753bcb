/**
 * What a patient's record says stays in Postgres and in artifacts. A whole lab works on data whose patients, ages, sexes and findings
 * carry marks; then everything else that it wrote or said is searched for them: logs, metrics, events, queue, audit, answers to mistakes.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makePhantomNih } from '#libs/datasets'
import { startEmbeddedPostgres } from '#libs/run-store'
import { type ApiClient, createApiClient } from '../../apps/cli/src/client/api-client.ts'
import { watchGrid } from '../../apps/cli/src/commands/watch.ts'
import { type Lab, startLab } from '../../apps/cli/src/lab/start-lab.ts'

const MARKS = /SUBJECTMARK|AGEMARK|SEXMARK|VIEWMARK|FINDINGMARK/i
const redisUrl = process.env.REDIS_TEST_URL
if (!redisUrl) console.warn('the privacy of a queue on Redis is not tried: REDIS_TEST_URL names no server')
const QUEUES = redisUrl ? ['Postgres', 'Redis'] : ['Postgres']

/** Tables that hold no patient-derived value; the others may name an image in a run's message. */
const PLAIN_TABLES = ['event', 'outbox', 'audit_event', 'metric', 'worker', 'api_key', 'idempotency_key']

const REQUEST = {
  preset: 'tiny-cpu',
  method: ['msn'],
  ehr: ['sex'],
  overrides: {
    pretrain: { batch: 16, epochs: 1, prototypes: { count: 16 }, backbone: { depth: 2 } },
    evaluate: { epochs: 2, bootstrap: { resamples: 10 } },
  },
  evaluations: [{ mode: ['linear-cached'], labels: ['sex'] }],
}

/** A phantom whose patients' numbers, which images are named after, are marks. */
async function markedData(root: string, edit: (table: string) => string = (table) => table): Promise<void> {
  await makePhantomNih(root, { images: 48, patients: 40, seed: 5 })
  const mark = (text: string) => text.replaceAll(/\b0*(\d+)_(\d{3}\.png)/g, 'SUBJECTMARK$1_$2')
  const images = join(root, 'images_001/images')
  for (const name of await readdir(images)) await rename(join(images, name), join(images, mark(name)))
  for (const name of await readdir(root)) {
    if (!/\.(csv|txt)$/.test(name)) continue
    const text = mark(await readFile(join(root, name), 'utf8'))
    const rows = name.endsWith('.csv') ? edit(withMarkedPatients(text)) : text
    await writeFile(join(root, name), rows)
  }
}

/** Column 3 is the patient. */
function withMarkedPatients(table: string): string {
  const [head, ...rows] = table.trimEnd().split('\n')
  const marked = rows.map((row) =>
    row
      .split(',')
      .map((cell, column) => (column === 3 ? `SUBJECTMARK${cell}` : cell))
      .join(','),
  )
  return `${[head, ...marked].join('\n')}\n`
}

const inRow = (row: number, column: number, value: string) => (table: string) => {
  const lines = table.split('\n')
  lines[row] = (lines[row] ?? '')
    .split(',')
    .map((cell, at) => (at === column ? value : cell))
    .join(',')
  return lines.join('\n')
}

const BAD = {
  patient: inRow(3, 0, 'SUBJECTMARK/../x.png'),
  age: inRow(4, 4, 'AGEMARK77'),
  sex: inRow(5, 5, 'SEXMARK'),
  view: inRow(6, 6, 'VIEWMARK'),
  finding: inRow(7, 1, 'FINDINGMARK'),
}

/** Everything that clients tell the Redis server from now on. */
async function monitor(url: string): Promise<{ readonly text: () => string; readonly socket: Socket }> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let text = ''
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.on('data', (chunk) => {
      text += String(chunk)
      if (text.startsWith('+OK')) resolve()
    })
    socket.write('MONITOR\r\n')
  })
  return { text: () => text, socket }
}

describe.each(QUEUES)('with the queue on %s', (queue) => {
  let home: string
  let lab: Lab
  let api: ApiClient
  let redis: Awaited<ReturnType<typeof monitor>> | undefined
  /** Every answer to a mistake. */
  const refusals: string[] = []

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'cxrlab-privacy-'))
    await chmod(home, 0o711)
    await mkdir(join(home, 'data'))
    if (queue === 'Redis' && redisUrl) redis = await monitor(redisUrl)
    const environment = { ...process.env, ENGINE: 'onnx', LOG_LEVEL: 'debug' }
    const queueUrl = queue === 'Redis' ? redisUrl : undefined
    lab = await startLab({ dir: join(home, 'lab'), port: 0, datasetRoots: [join(home, 'data')], environment, queueUrl })
    api = createApiClient(lab.apiUrl)
  }, 120_000)

  afterAll(async () => {
    redis?.socket.destroy()
    await lab?.stop()
    await rm(home, { recursive: true, force: true })
  })

  async function post(path: string, body: unknown): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`${lab.apiUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) refusals.push(text)
    return { status: response.status, text }
  }

  async function runGrid(dataset: string): Promise<Readonly<Record<string, number>>> {
    const { text } = await post('/v1/grids', { ...REQUEST, name: `on-${dataset}`, dataset })
    const { gridId } = JSON.parse(text) as { gridId: string }
    const display = { update: () => undefined, note: () => undefined, close: () => undefined }
    return (await watchGrid(gridId, { api, display, now: Date.now, pause: (ms) => delay(Math.min(ms, 200)) })).runs
  }

  it('works on marked patients to the end', async () => {
    const root = join(home, 'data/good')
    await markedData(root)
    expect((await post('/v1/datasets', { name: 'good', kind: 'nih14', root })).status).toBe(201)
    const runs = await runGrid('good')
    expect(runs, JSON.stringify(await api.get('/v1/runs?grid=on-good'))).toMatchObject({ succeeded: 3 })
    expect((await fetch(`${lab.apiUrl}/v1/datasets/good/check`)).status).toBe(200)
    const { items } = (await api.get('/v1/runs?grid=on-good&kind=evaluate')) as { items: { id: string }[] }
    const comparison = await api.get(`/v1/compare?first=${items[0]?.id}&second=${items[0]?.id}&resamples=20`)
    expect(comparison).toMatchObject({ rows: [{ label: 'macro', difference: 0, p: 1 }, {}, {}, {}] })
    expect(JSON.stringify(comparison)).not.toMatch(MARKS)
  }, 240_000)

  it('meets every kind of wrong record', async () => {
    for (const [kind, edit] of Object.entries(BAD)) {
      const root = join(home, 'data', kind)
      await markedData(root, edit)
      const { status } = await post('/v1/datasets', { name: kind, kind: 'nih14', root })
      // Where registration does not read that far, the run does.
      if (status === 201) {
        expect(await runGrid(kind)).toMatchObject({ failed: 1 })
        refusals.push(await (await fetch(`${lab.apiUrl}/v1/datasets/${kind}/check`)).text())
        refusals.push(JSON.stringify(await api.get(`/v1/runs?grid=on-${kind}`)))
      }
    }
    // Whoever asks for this run is told which image it is, and has its name from Postgres; nothing else may have it.
    const broken = join(home, 'data/broken')
    await markedData(broken)
    const images = join(broken, 'images_001/images')
    await truncate(join(images, (await readdir(images))[2] ?? ''), 300)
    expect((await post('/v1/datasets', { name: 'broken', kind: 'nih14', root: broken })).status).toBe(201)
    expect(await runGrid('broken')).toMatchObject({ failed: 1 })
  }, 240_000)

  it('left no mark in any answer to a mistake', () => {
    expect(refusals.length).toBeGreaterThan(0)
    for (const text of refusals) expect(text).not.toMatch(MARKS)
  })

  it('left no mark in metrics and events', async () => {
    for (const url of [`${lab.apiUrl}/metrics`, lab.workerMetricsUrl]) {
      const text = await (await fetch(url)).text()
      expect(text).toContain('cxrlab_')
      expect(text).not.toMatch(MARKS)
    }
    for (let after = '0'; ; ) {
      const page = (await api.get(`/v1/events?limit=1000&after=${after}`)) as { items: unknown[]; nextAfter: string }
      expect(JSON.stringify(page)).not.toMatch(MARKS)
      if (page.items.length === 0) break
      after = page.nextAfter
    }
  })

  it('left no mark in logs, at the level of debugging', async () => {
    for (const name of await readdir(lab.logs)) {
      const lines = (await readFile(join(lab.logs, name), 'utf8')).split('\n')
      expect(
        lines.filter((line) => MARKS.test(line)),
        name,
      ).toEqual([])
    }
  })

  it('left no mark in the queue, nor in any table of events, audit, metrics and outbox', async () => {
    const { url } = await startEmbeddedPostgres(join(lab.dir, 'postgres'))
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      const { rows } = await client.query<{ schema: string; name: string }>(
        `SELECT table_schema AS schema, table_name AS name FROM information_schema.tables
         WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
      )
      const searched = rows.filter(({ schema, name }) => schema !== 'public' || PLAIN_TABLES.includes(name))
      expect(searched.map(({ name }) => name)).toEqual(expect.arrayContaining(['event', 'audit_event', 'metric']))
      if (queue === 'Postgres')
        expect(
          searched.some(({ schema }) => schema !== 'public'),
          'tables of the queue',
        ).toBe(true)
      for (const { schema, name } of searched) {
        const found = await client.query<{ text: string }>(`SELECT t::text AS text FROM "${schema}"."${name}" t`)
        expect(
          found.rows.filter(({ text }) => MARKS.test(text)),
          name,
        ).toEqual([])
      }
    } finally {
      await client.end()
    }
    if (redis) {
      expect(redis.text().length).toBeGreaterThan(1000)
      expect(redis.text()).not.toMatch(MARKS)
    }
  })
})
