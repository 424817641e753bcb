/** One embedded Postgres for all files of a test run; the first that asks starts it, global-setup.ts stops it. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { inject } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '#libs/run-store'

/** Tests' data need not survive a power cut. */
const TEST_SETTINGS = { fsync: 'off', full_page_writes: 'off', max_connections: '200' }
const START_TIMEOUT_MS = 60_000

let server: Promise<EmbeddedPostgres> | undefined

/** URL of the server's database `postgres`. Files use databases of their own: createTestDatabase(). */
export async function testPostgresUrl(): Promise<string> {
  server ??= start(join(inject('serviceFolder'), 'postgres'))
  return (await server).url
}

async function start(folder: string): Promise<EmbeddedPostgres> {
  await mkdir(folder, { recursive: true })
  return withFolderLock(join(folder, 'starting'), () =>
    startEmbeddedPostgres(join(folder, 'data'), { log: join(folder, 'postgres.log'), settings: TEST_SETTINGS }),
  )
}

/** Making a folder is atomic between processes: who makes it works, the others wait until it is gone. */
async function withFolderLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!(await taken(lock))) {
    if (performance.now() > deadline) throw new Error('another test file has been starting Postgres for a minute')
    await delay(25)
  }
  try {
    return await work()
  } finally {
    await rm(lock, { recursive: true })
  }
}

const taken = (lock: string) =>
  mkdir(lock).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
