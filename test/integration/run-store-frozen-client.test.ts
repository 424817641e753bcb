/** A client that freezes in the middle of a transaction, as a stopped or cut off worker does. */
import pg from 'pg'
import { expect, it } from 'vitest'
import { createTestDatabase } from '#libs/testkit'
import { openDatabase } from '../../libs/run-store/src/database.ts'

it('keeps its locks only until the server ends its silent session; what it began is undone', async () => {
  const database = await createTestDatabase()
  const frozen = openDatabase({ databaseUrl: database.url, poolSize: 1, idleTransactionMs: 200 })
  const other = new pg.Client({ connectionString: database.url })
  await other.connect()
  try {
    await other.query(
      `INSERT INTO worker (id, hostname, resource_class, engine, version) VALUES ('w1', 'before', 'cpu', 'none', '1')`,
    )
    let locked = () => {}
    const isLocked = new Promise<void>((resolve) => {
      locked = resolve
    })
    let wake = () => {}
    const sleep = new Promise<void>((resolve) => {
      wake = resolve
    })
    const transaction = frozen.transaction(async (tx) => {
      await tx.rows(`UPDATE worker SET hostname = 'during' WHERE id = 'w1'`)
      locked()
      await sleep
      await tx.rows('SELECT 1 AS one')
    })
    transaction.catch(() => {})
    await isLocked
    // Waits for the lock, and gets it without the frozen client's having said another word.
    const { rows } = await other.query(`SELECT hostname FROM worker WHERE id = 'w1' FOR UPDATE`)
    expect(rows).toEqual([{ hostname: 'before' }])
    wake()
    await expect(transaction).rejects.toThrow()
    expect(await frozen.rows('SELECT 1 AS one')).toEqual([{ one: 1 }])
  } finally {
    await other.end()
    await frozen.close()
    await database.drop()
  }
})
