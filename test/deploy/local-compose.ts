/**
 * Runs docker-compose.yml without a container engine: the same programs with the compose file's own environment and command
 * lines, only host names, ports and mounted folders replaced by ones of this machine. Our services run out of staged images, as
 * the user that the image names.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { startEmbeddedPostgres } from '#libs/run-store'
import { type ComposeService, startOrder } from './compose-file.ts'
import type { StagedImage } from './stage-image.ts'

const run = promisify(execFile)
const READY_WITHIN_MS = 60_000

/** Where the services listen inside the compose network. */
const PORTS = {
  postgres: [5432],
  redis: [6379],
  s3: [8333, 8888, 9333, 9340, 23646, 7333],
  api: [8080],
  worker: [9464],
  prometheus: [9090],
} as const
/** SeaweedFS's other servers, so that two of it may run on one machine. */
const SEAWEED_PORTS = [
  ['filer.port', 8888],
  ['master.port', 9333],
  ['volume.port', 9340],
  ['admin.port', 23_646],
  ['webdav.port', 7333],
] as const
/** No package of any registry brings it: its provisioning and dashboards are checked by tests of their own. */
const LEFT_OUT = new Set(['grafana'])

export interface LocalCompose {
  /** `host:port` of the compose network -> what answers here. */
  address(name: keyof typeof PORTS): string
  readonly datasets: string
  /** As `docker compose exec SERVICE COMMAND`: standard output. */
  exec(service: string, command: readonly string[]): Promise<string>
  /** As `docker compose stop`: SIGTERM in reverse order; exit codes by service. */
  stop(): Promise<Readonly<Record<string, number | null>>>
}

export interface LocalComposeOptions {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly images: Readonly<Record<string, StagedImage>>
  readonly environment: Readonly<Record<string, string>>
  readonly scratch: string
  readonly configFolder: string
  readonly note: (line: string) => void
}

export async function startLocalCompose(options: LocalComposeOptions): Promise<LocalCompose> {
  const lab = new Compose(options, await freePorts())
  try {
    for (const name of startOrder(options.services)) if (!LEFT_OUT.has(name)) await lab.start(name)
  } catch (error) {
    await lab.stop()
    throw error
  }
  return lab
}

class Compose implements LocalCompose {
  readonly datasets: string
  readonly #options: LocalComposeOptions
  readonly #ports: ReadonlyMap<number, number>
  readonly #processes = new Map<string, ChildProcess>()
  #stopPostgres = async () => {}

  constructor(options: LocalComposeOptions, ports: ReadonlyMap<number, number>) {
    this.#options = options
    this.#ports = ports
    this.datasets = join(options.scratch, 'datasets')
  }

  address(name: keyof typeof PORTS): string {
    return `127.0.0.1:${this.#ports.get(PORTS[name][0])}`
  }

  async start(name: string): Promise<void> {
    const service = this.#service(name)
    this.#options.note(`start ${name} (${service.image})`)
    if (name === 'postgres') await this.#startPostgres(service)
    else if (name === 'migrate') await this.#runJob(name, service)
    else await this.#startProcess(name, service)
  }

  async exec(name: string, command: readonly string[]): Promise<string> {
    const { file, args, options } = this.#launch(name, { ...this.#service(name), command })
    return (await run(file, [...args], options)).stdout
  }

  async stop(): Promise<Readonly<Record<string, number | null>>> {
    const codes: Record<string, number | null> = {}
    for (const [name, child] of [...this.#processes].reverse()) {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, 'exit')
        child.kill('SIGTERM')
        await exited
      }
      codes[name] = child.exitCode
    }
    await this.#stopPostgres()
    return codes
  }

  #service(name: string): ComposeService {
    const service = this.#options.services[name]
    if (service === undefined) throw new Error(`docker-compose.yml has no service ${name}`)
    return service
  }

  /** The image makes user and database from its variables, then runs the scripts of docker-entrypoint-initdb.d. */
  async #startPostgres({ environment = {} }: ComposeService): Promise<void> {
    const { POSTGRES_USER = '', POSTGRES_PASSWORD = '', POSTGRES_DB = '' } = environment
    const server = await startEmbeddedPostgres(join(this.#options.scratch, 'postgres'), { port: this.#portOf(5432) })
    this.#stopPostgres = () => server.stop()
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query(`CREATE ROLE ${POSTGRES_USER} SUPERUSER LOGIN PASSWORD '${POSTGRES_PASSWORD}'`)
    await client.query(`CREATE DATABASE ${POSTGRES_DB} OWNER ${POSTGRES_USER}`)
    await client.end()
    const env = { ...process.env, ...environment, PGHOST: '127.0.0.1', PGPORT: String(this.#portOf(5432)) }
    await run('sh', [join(this.#options.configFolder, 'postgres/reader-role.sh')], { env })
  }

  async #runJob(name: string, service: ComposeService): Promise<void> {
    const { file, args, options } = this.#launch(name, service)
    const { stdout } = await run(file, [...args], options)
    this.#options.note(`${name}: ${stdout.trim().split('\n').at(-1)}`)
  }

  async #startProcess(name: string, service: ComposeService): Promise<void> {
    const { file, args, options } = this.#launch(name, service)
    if (name === 'prometheus') await this.#localPrometheusConfig()
    await mkdir(join(this.#options.scratch, name), { recursive: true })
    const child = spawn(file, [...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    const log = createWriteStream(join(this.#options.scratch, `${name}.log`))
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    this.#processes.set(name, child)
    await this.#untilHealthy(name, service, child)
  }

  /** The healthcheck of the compose file itself, until it succeeds. */
  async #untilHealthy(name: string, service: ComposeService, child: ChildProcess): Promise<void> {
    const test = service.healthcheck?.test
    if (test === undefined) return
    const [kind, ...words] = test.map((word) => this.#localise(word))
    const command = kind === 'CMD-SHELL' ? ['sh', '-c', ...words] : words
    const deadline = performance.now() + READY_WITHIN_MS
    for (;;) {
      const env = { ...process.env, ...service.environment }
      const healthy = await run(command[0] ?? '', [...command.slice(1), ...(name === 'redis' ? this.#redisPort() : [])], {
        env,
      }).then(
        ({ stdout }) => name !== 'redis' || stdout.includes('PONG'),
        () => false,
      )
      if (healthy) return
      if (child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`${name} is not healthy:\n${(await this.#logOf(name)).slice(-2000)}`)
      }
      await delay(250)
    }
  }

  #redisPort = () => ['-p', String(this.#portOf(6379))]
  #logOf = (name: string) => readFile(join(this.#options.scratch, `${name}.log`), 'utf8')

  #launch(name: string, service: ComposeService) {
    const image = this.#options.images[service.image]
    const words = [...(service.entrypoint ?? []), ...(service.command ?? [])].map((word) => this.#localise(word))
    const environment = Object.fromEntries(
      Object.entries({ ...image?.environment, ...service.environment }).map(([key, value]) => [
        key,
        this.#localise(String(value)),
      ]),
    )
    const [file = '', ...args] = image ? words : this.#hostCommand(name, words)
    // What a container would have of its own: the image's environment, a home and a place for temporary files.
    const own = { PATH: process.env.PATH ?? '', HOME: this.#options.scratch, TMPDIR: join(this.#options.scratch, 'tmp') }
    const ports = {
      ...(environment.API_PORT && { API_PORT: String(this.#portOf(8080)) }),
      ...(environment.METRICS_PORT && { METRICS_PORT: String(this.#portOf(9464)) }),
    }
    return {
      file,
      args,
      options: {
        env: { ...own, ...environment, ...ports },
        cwd: image ? join(image.root, image.workdir) : this.#options.scratch,
        ...(image && userOf(image)),
      },
    }
  }

  /** Servers that other people's images start: their own arguments, with ports and folders of this machine. */
  #hostCommand(name: string, words: readonly string[]): readonly string[] {
    const data = join(this.#options.scratch, name)
    switch (name) {
      case 'redis':
        return [...words, '--port', String(this.#portOf(6379)), '--bind', '127.0.0.1', '--dir', data]
      case 's3':
        return [
          'weed',
          ...words.map((word) =>
            word
              .replace('-dir=/data', `-dir=${data}`)
              .replace('=0.0.0.0', '=127.0.0.1')
              .replace('-ip=s3', '-ip=127.0.0.1')
              .replace('=8333', `=${this.#portOf(8333)}`),
          ),
          ...SEAWEED_PORTS.map(([flag, port]) => `-${flag}=${this.#portOf(port)}`),
        ]
      case 'prometheus':
        return [
          'prometheus',
          ...words.map((word) => word.replace('/etc/prometheus/', `${data}/`).replace('=/prometheus', `=${data}/tsdb`)),
          `--web.listen-address=${this.address('prometheus')}`,
        ]
      default:
        return words
    }
  }

  /** Scrape targets are names of the compose network, found by DNS; here they are ports. */
  async #localPrometheusConfig(): Promise<void> {
    const folder = join(this.#options.scratch, 'prometheus')
    await cp(join(this.#options.configFolder, 'prometheus'), folder, { recursive: true })
    const text = await readFile(join(folder, 'compose.yml'), 'utf8')
    const found = text.replace(
      /dns_sd_configs:[\s\S]*?\n(?= {2}- |$)/,
      `static_configs: [{ targets: ['${this.address('worker')}'] }]\n`,
    )
    await writeFile(
      join(folder, 'compose.yml'),
      this.#localise(found).replace(/(scrape|evaluation)_interval: \d+s/g, '$1_interval: 1s'),
    )
  }

  #portOf(containerPort: number): number {
    const port = this.#ports.get(containerPort)
    if (port === undefined) throw new Error(`no port stands for ${containerPort}`)
    return port
  }

  #localise(text: string): string {
    const hosts = Object.entries(PORTS).flatMap(([host, ports]) => ports.map((port) => ({ host, port })))
    const replaced = hosts.reduce(
      (all, { host, port }) =>
        all
          .replaceAll(`${host}:${port}`, `127.0.0.1:${this.#portOf(port)}`)
          .replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${this.#portOf(port)}`),
      text,
    )
    return replaced === '/datasets' ? this.datasets : replaced
  }
}

/** Only root can become somebody else. */
function userOf(image: StagedImage): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0 || !/^\d+:\d+$/.test(image.user)) return {}
  const [uid, gid] = image.user.split(':').map(Number)
  return { ...(uid !== undefined && { uid }), ...(gid !== undefined && { gid }) }
}

/** The scratch folder as the services see it: readable by the images' user, with its own place for temporary files. */
export async function prepareScratch(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  await mkdir(join(folder, 'datasets'), { recursive: true })
  await mkdir(join(folder, 'tmp'), { recursive: true })
  await chmod(join(folder, 'tmp'), 0o1777)
}

/**
 * Below the range that the system hands out by itself, and low enough that SeaweedFS may add 10,000 for its second port.
 */
async function freePorts(): Promise<ReadonlyMap<number, number>> {
  const found = new Map<number, number>()
  let candidate = 20_000 + (process.pid % 200) * 50
  for (const inside of Object.values(PORTS).flat()) {
    while (!(await isFree(candidate))) candidate++
    found.set(inside, candidate++)
  }
  return found
}

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
