/** `cxrlab migrate`, the job that runs before the services of a cluster. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { schemaState } from '#libs/run-store'
import { createEmptyDatabase } from '#libs/testkit'

const run = promisify(execFile)
const migrate = (env: Readonly<Record<string, string>>, ...args: string[]) =>
  run(process.execPath, ['apps/cli/bin/cxrlab.mjs', 'migrate', ...args], { env: { PATH: process.env.PATH, ...env } })

it('brings an empty database to the schema of this version, and the second time does nothing', async () => {
  const database = await createEmptyDatabase()
  onTestFinished(() => database.drop())
  const first = JSON.parse((await migrate({ DATABASE_URL: database.url }, '--json')).stdout)
  expect(first.applied[0]).toBe('20261124000000_init')
  expect(await schemaState(database.url)).toEqual({ state: 'up-to-date' })
  expect((await migrate({ DATABASE_URL: database.url })).stdout).toBe('the schema is up to date\n')
})

it('says in one line what it lacks, or that the database does not answer, and fails', async () => {
  await expect(migrate({})).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^cxrlab: DATABASE_URL: is not set.*\n$/),
  })
  // Port 1 of loopback: nobody listens there.
  await expect(migrate({ DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/lab' })).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^cxrlab: .*ECONNREFUSED.*\n$/),
  })
})
