/** One database, as the stores see it: raw statements through Prisma, transactions with their events, notifications. */
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { PrismaClient } from './generated/prisma/client.ts'
import { flushEvents, type PendingEvent } from './pending-events.ts'

export interface Sql {
  /** Positional parameters, each cast in the statement. bigint columns come back as BigInt, timestamps as Date, jsonb parsed. */
  rows<T>(sql: string, ...params: unknown[]): Promise<T[]>
}

/** A transaction: its events are written together at its end, under the lock that keeps their ids in the order of commits. */
export interface Tx extends Sql {
  readonly pendingEvents: PendingEvent[]
}

const CHANNELS = ['cxrlab_outbox', 'cxrlab_event', 'cxrlab_wish'] as const
export type Channel = (typeof CHANNELS)[number]

export interface Database extends Sql {
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /**
   * Resolves at the channel's next notification, after `timeoutMs`, or when `signal` aborts. A notification that came in the
   * 200 ms before counts too, 200 ms after it: who reads and then waits misses nothing that was announced between the two.
   */
  listen(channel: Channel, timeoutMs: number, signal: AbortSignal): Promise<void>
  /** A session of its own, for locks that belong to a session. */
  session(): Promise<pg.Client>
  close(): Promise<void>
}

export interface DatabaseOptions {
  readonly databaseUrl: string
  readonly poolSize: number
  /**
   * A transaction whose client says nothing for so long is ended by the server. Default 10,000: a process that freezes or is cut off
   * in the middle of one would keep its locks, and the sweep of leases, which needs them, would wait for it for ever.
   */
  readonly idleTransactionMs?: number
}

const TRANSACTION = { maxWait: 10_000, timeout: 60_000 } as const
const RECONNECT_MS = 500
const RECENT_MS = 200

const names = new Map<string, string>()

/**
 * Each session keeps the plan of a statement that it has seen: planning costs more than most of them. Not of those with optional
 * conditions (the name is empty), whose plan must be made for the values given. The texts are constants of this lib, so their number is small.
 */
function statementName(sql: string): string {
  let name = names.get(sql)
  if (name === undefined) {
    name = sql.includes('IS NULL OR') ? '' : createHash('sha256').update(sql).digest('base64url')
    names.set(sql, name)
  }
  return name
}

export function openDatabase({ databaseUrl, poolSize, idleTransactionMs = 10_000 }: DatabaseOptions): Database {
  const adapter = new PrismaPg(
    { connectionString: databaseUrl, max: poolSize, idle_in_transaction_session_timeout: idleTransactionMs },
    { statementNameGenerator: ({ sql }) => statementName(sql) },
  )
  const prisma = new PrismaClient({ adapter })
  const listener = new Listener(databaseUrl)
  return {
    rows: (sql, ...params) => prisma.$queryRawUnsafe(sql, ...params),
    transaction: (work) =>
      prisma.$transaction(async (client) => {
        const tx: Tx = { rows: (sql, ...params) => client.$queryRawUnsafe(sql, ...params), pendingEvents: [] }
        const result = await work(tx)
        await flushEvents(tx)
        return result
      }, TRANSACTION),
    listen: (channel, timeoutMs, signal) => listener.next(channel, timeoutMs, signal),
    session: async () => {
      const client = new pg.Client({ connectionString: databaseUrl })
      await client.connect()
      return client
    },
    close: async () => {
      await listener.close()
      await prisma.$disconnect()
    },
  }
}

/** One LISTEN session for all who wait; opened at the first wait and again after it broke. */
class Listener {
  readonly #url: string
  #client: Promise<pg.Client> | undefined
  readonly #waiting = new Set<{ channel: Channel; wake: () => void }>()
  /** When each channel was heard last, on the monotonic clock. */
  readonly #heardAt = new Map<string, number>()

  constructor(url: string) {
    this.#url = url
  }

  async next(channel: Channel, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const done = new AbortController()
    const stop = () => done.abort()
    signal.addEventListener('abort', stop, { once: true })
    const waiter = { channel, wake: stop }
    this.#waiting.add(waiter)
    try {
      // Without a session the wait is a poll: late, never wrong.
      const connected = await this.#connect().catch(() => undefined)
      const sinceMs = performance.now() - (this.#heardAt.get(channel) ?? Number.NEGATIVE_INFINITY)
      const heardMs = sinceMs < RECENT_MS ? RECENT_MS - sinceMs : Number.POSITIVE_INFINITY
      await delay(Math.min(timeoutMs, heardMs, connected ? Number.POSITIVE_INFINITY : RECONNECT_MS), undefined, {
        signal: done.signal,
      }).catch(() => undefined)
    } finally {
      this.#waiting.delete(waiter)
      signal.removeEventListener('abort', stop)
    }
  }

  async close(): Promise<void> {
    for (const { wake } of this.#waiting) wake()
    const client = await this.#client?.catch(() => undefined)
    this.#client = undefined
    await client?.end()
  }

  #connect(): Promise<pg.Client> {
    this.#client ??= this.#open().catch((error: unknown) => {
      this.#client = undefined
      throw error
    })
    return this.#client
  }

  async #open(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.#url })
    let isBroken = false
    client.on('error', () => {
      // A session that is ended reports twice; by then the next one may be open.
      if (isBroken) return
      isBroken = true
      this.#client = undefined
      // What was announced while nobody listened is unknown: everybody looks.
      for (const { wake } of this.#waiting) wake()
    })
    client.on('notification', ({ channel }) => {
      this.#heardAt.set(channel, performance.now())
      for (const waiter of this.#waiting) if (waiter.channel === channel) waiter.wake()
    })
    await client.connect()
    await client.query(CHANNELS.map((channel) => `LISTEN ${channel}`).join('; '))
    // What was announced before is unknown: whoever waits looks once.
    for (const channel of CHANNELS) this.#heardAt.set(channel, performance.now())
    return client
  }
}
