/** `npm run demo`: the whole lab on this machine, from data to a results table. */
import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makePhantomNih } from '#libs/datasets'
import { type ApiClient, createApiClient, parseAnswer } from '../client/api-client.ts'
import { submittedSchema } from '../client/wire.ts'
import { exitCodeOf, watchGrid } from '../commands/watch.ts'
import { readConfig } from '../config.ts'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import { readGridFile } from '../grid-file/read-grid-file.ts'
import { startLab } from '../lab/start-lab.ts'
import { renderSubmitted } from '../render/views.ts'
import { barDisplay, plainDisplay } from '../render/watch-display.ts'
import { type DemoOptions, parseDemoOptions } from './options.ts'
import { demoReport } from './report.ts'

const EXPERIMENTS = fileURLToPath(new URL('../../../../experiments', import.meta.url))
const PHANTOM = { images: 160, patients: 120, seed: 24 } as const

const say = (line: string) => process.stderr.write(`${line}\n`)

interface DemoData {
  readonly name: string
  readonly root: string
  readonly gridFile: string
}

async function dataOf(options: DemoOptions): Promise<DemoData> {
  if (options.data !== undefined) {
    const root = resolve(options.data)
    const there = await stat(root).then(
      (found) => found.isDirectory(),
      () => false,
    )
    if (!there) throw new CliError('demo-data-missing', EXIT.usage, `--data ${options.data} is not a folder`)
    return { name: 'nih', root, gridFile: options.grid ?? join(EXPERIMENTS, 'demo-nih-sample.yaml') }
  }
  const root = join(resolve(options.dir), 'phantom-nih')
  say(`making ${PHANTOM.images} phantom images in the file layout of NIH ChestX-ray14`)
  await makePhantomNih(root, PHANTOM)
  return { name: 'phantom', root, gridFile: options.grid ?? join(EXPERIMENTS, 'demo.yaml') }
}

async function runGrid(api: ApiClient, data: DemoData): Promise<ReturnType<typeof watchGrid>> {
  await api.post('/v1/datasets', { name: data.name, kind: 'nih14', root: data.root })
  const { value, path } = await readGridFile(data.gridFile)
  const submitted = parseAnswer(submittedSchema, await api.post('/v1/grids', value))
  say(`submitted ${path}`)
  say(renderSubmitted(submitted, ''))
  const display = process.stderr.isTTY ? barDisplay(process.stderr) : plainDisplay(say)
  try {
    return await watchGrid(submitted.gridId, { api, display, now: Date.now, pause: delay })
  } finally {
    display.close()
  }
}

async function demo(options: DemoOptions): Promise<number> {
  const config = readConfig()
  const data = await dataOf(options)
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupted.abort())
  const lab = await startLab({
    dir: options.dir,
    port: 0,
    datasetRoots: [options.data === undefined ? dirname(data.root) : data.root],
    queueUrl: config.queueUrl,
    environment: config.environment,
    note: say,
    // From the very start: a signal that nobody hears would leave the services behind.
    signal: interrupted.signal,
  })
  const stop = () => {
    say('stopping')
    lab.stop().then(
      () => process.exit(EXIT.interrupted),
      () => process.exit(1),
    )
  }
  interrupted.signal.addEventListener('abort', stop, { once: true })
  if (interrupted.signal.aborted) stop()
  try {
    say(
      `the lab is up: ${lab.apiUrl} (interface at ${lab.apiUrl}/docs, metrics at ${lab.apiUrl}/metrics and ${lab.workerMetricsUrl})`,
    )
    const api = createApiClient(lab.apiUrl)
    const from = performance.now()
    const grid = await Promise.race([
      runGrid(api, data),
      lab.broken.then((error) => {
        throw error
      }),
    ])
    process.stdout.write(`${await demoReport(api, grid, lab, (performance.now() - from) / 1000)}\n`)
    return exitCodeOf(grid)
  } finally {
    await lab.stop()
  }
}

try {
  process.exit(await demo(parseDemoOptions(process.argv.slice(2))))
} catch (error) {
  say(`cxrlab demo: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(error instanceof CliError ? error.exitCode : 1)
}
