/** Whoever changes which grids want which runs takes turns with the others, until its commit. */
import { ADVISORY_LOCKS } from './advisory-locks.ts'
import type { Tx } from './database.ts'

/** Two submissions that overlap can then neither make a run twice nor wait for each other's rows. */
export async function takeSubmitTurn(tx: Tx): Promise<void> {
  await tx.rows(`SELECT pg_advisory_xact_lock(${ADVISORY_LOCKS.submit})::text`)
}
