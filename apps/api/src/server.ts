/** The api's process: compose, start, stop. */
import { pathToFileURL } from 'node:url'
import { collectGarbage, type GarbageOptions, openObjectStore } from '#libs/artifacts'
import { checkDataset, type DatasetAddress, fingerprintDataset } from '#libs/datasets'
import { assertSchema, openRunStore } from '#libs/run-store'
import { createLogger, createRegistry } from '#libs/telemetry'
import { buildApp } from './build-app.ts'
import { compareInThread } from './comparison/compare-in-thread.ts'
import { type ApiConfig, ConfigError, readConfig } from './config.ts'

/** Requests in flight get this long; then their connections are cut. */
const DRAIN_MS = 5000
/** After a signal the process ends within this time, whatever hangs. */
const STOP_WITHIN_MS = 10_000

export interface RunningApi {
  /** As listened on, with the port that was taken. */
  readonly url: string
  stop(): Promise<void>
}

/** @throws where the database has another schema, the object store is out of reach or the port is taken; then nothing stays open. */
export async function startApi(config: ApiConfig): Promise<RunningApi> {
  const logger = createLogger({ service: 'api', level: config.logLevel })
  await assertSchema(config.databaseUrl)
  const objectStore = await openObjectStore(config.objectStoreUrl, config.objectStore)
  const registry = createRegistry('api')
  const store = await openRunStore({ databaseUrl: config.databaseUrl, poolSize: config.databasePoolSize })
  const { grids, datasets, reader, control, workers, series, apiKeys, audit } = store
  const release = async () => {
    registry.close()
    await store.close()
  }
  try {
    const deps = {
      grids,
      datasets,
      reader,
      control,
      workers,
      series,
      apiKeys,
      audit,
      objectStore,
      collectGarbage: (options: Omit<GarbageOptions, 'references'>) =>
        collectGarbage(objectStore, { ...options, references: store.references.references }),
      fingerprint: (dataset: DatasetAddress) => fingerprintDataset(dataset, config.objectStore),
      checkDataset: (dataset: DatasetAddress & { readonly fingerprint: string }) => checkDataset(dataset, config.objectStore),
      compare: compareInThread,
      registry,
      logger,
    }
    const app = await buildApp(deps, config)
    const url = await app.listen({ host: config.host, port: config.port }).catch(async (error: unknown) => {
      await app.close()
      throw error
    })
    return {
      url,
      async stop() {
        const late = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS)
        await app.close()
        clearTimeout(late)
        await release()
      },
    }
  } catch (error) {
    await release()
    throw error
  }
}

async function main(): Promise<void> {
  try {
    const api = await startApi(readConfig())
    stopOnSignal(api)
  } catch (error) {
    process.stderr.write(`cxrlab api: ${oneLine(error)}\n`)
    process.exit(1)
  }
}

function stopOnSignal(api: RunningApi): void {
  const stop = () => {
    const late = setTimeout(() => process.exit(1), STOP_WITHIN_MS)
    late.unref()
    api.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}

function oneLine(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  const { code, port, message } = error as { code?: string; port?: number; message?: string }
  if (code === 'EADDRINUSE') return `port ${port} is in use; choose another with API_PORT`
  if (code === 'EACCES') return `port ${port} may not be opened by this user; choose another with API_PORT`
  if (code === 'ECONNREFUSED') return 'the database does not answer (DATABASE_URL)'
  return String(message ?? error).split('\n')[0] ?? ''
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main()
