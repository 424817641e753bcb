/**
 * Collection of garbage: what the object store holds and nobody names any more.
 *
 * A run's objects stay where an attempt may be writing (the run is not in an end state), where any of them is younger than the age
 * that is asked for, and where a manifest of the run cannot be read. Of other runs stays what the database names (artifacts,
 * checkpoints), every manifest, and what manifests list. Objects of runs that the lab does not know go. What does not lie under
 * `runs/<id>/` is counted and left alone.
 *
 * The races: an object that is written while we look is young; a run that is taken up again is seen by asking for it once more
 * right before its objects go; and each object's age is asked again before it goes, as its writer may store the same key anew.
 */

import { listedByManifest } from './manifest.ts'
import type { ObjectHead, ObjectStore, Unfinished } from './object-store.ts'

/** What the database says of a run that it knows (RunReferences of libs/runs). */
export interface KnownRun {
  readonly runId: string
  /** Not in an end state. */
  readonly live: boolean
  /** A grid that was not cancelled wants it. */
  readonly wanted: boolean
  readonly state: string
  /** Of artifacts and checkpoints, relative to the run. */
  readonly names: readonly string[]
}

export interface GarbageOptions {
  /** Of the given runs those that the database knows; at most RUNS_A_QUESTION ids a call. */
  readonly references: (runIds: readonly string[]) => Promise<readonly KnownRun[]>
  /** Only what was stored before this time may go. */
  readonly before: Date
  readonly dryRun: boolean
  /** Also everything of runs that ended without success and that only cancelled grids want: a retry would begin anew. */
  readonly unwanted?: boolean
  /** Objects that go at most in one call; default no limit. */
  readonly limit?: number
}

export const GARBAGE_REASONS = ['unknown-run', 'unwanted-run', 'unreferenced'] as const
export type GarbageReason = (typeof GARBAGE_REASONS)[number]

export interface GarbageReport {
  /** All objects that were looked at. */
  readonly objects: number
  readonly sizeBytes: number
  readonly garbage: Readonly<Record<GarbageReason, { readonly objects: number; readonly sizeBytes: number }>>
  readonly unfinished: Unfinished
  /** Objects that went; 0 for a dry run. */
  readonly deleted: number
  /** Outside of `runs/<id>/`: not ours to judge. */
  readonly unrecognised: number
  /** Runs of which a manifest cannot be read: all is kept. */
  readonly doubtfulRuns: readonly string[]
  /** False where the limit was reached: call again. */
  readonly complete: boolean
  /** The first keys of what goes. */
  readonly sample: readonly string[]
}

export const RUNS_A_QUESTION = 500
const SAMPLE = 20
/** Objects that go before the run is asked for again. */
const DELETIONS_A_LOOK = 50
const RUN_KEY = /^runs\/([0-9a-f]{64})\//

/** @throws StoreAccessError where the store does not serve; what went by then stays gone. */
export async function collectGarbage(store: ObjectStore, options: GarbageOptions): Promise<GarbageReport> {
  return await new Collection(store, options).run()
}

class Collection {
  readonly #store: ObjectStore
  readonly #options: GarbageOptions
  readonly #garbage = Object.fromEntries(GARBAGE_REASONS.map((reason) => [reason, { objects: 0, sizeBytes: 0 }])) as Record<
    GarbageReason,
    { objects: number; sizeBytes: number }
  >
  readonly #sample: string[] = []
  readonly #doubtful: string[] = []
  #left: number
  #deleted = 0

  constructor(store: ObjectStore, options: GarbageOptions) {
    this.#store = store
    this.#options = options
    this.#left = options.limit ?? Number.POSITIVE_INFINITY
  }

  async run(): Promise<GarbageReport> {
    const { before, dryRun } = this.#options
    const totals = { objects: 0, sizeBytes: 0, unrecognised: 0 }
    const runs = await this.#runsWithOldObjects(totals)
    for (let start = 0; start < runs.length && this.#left > 0; start += RUNS_A_QUESTION) {
      const part = runs.slice(start, start + RUNS_A_QUESTION)
      const known = new Map((await this.#options.references(part)).map((run) => [run.runId, run]))
      for (const runId of part) if (this.#left > 0) await this.#collectRun(runId, known.get(runId))
    }
    const unfinished = await this.#store.removeUnfinished(before, { dryRun })
    return {
      ...totals,
      garbage: this.#garbage,
      unfinished,
      deleted: this.#deleted,
      doubtfulRuns: this.#doubtful,
      complete: this.#left > 0,
      sample: this.#sample,
    }
  }

  /** Runs of which every object is old enough: one that was written to lately may be written to now. */
  async #runsWithOldObjects(totals: { objects: number; sizeBytes: number; unrecognised: number }): Promise<string[]> {
    const isOld = new Map<string, boolean>()
    for await (const { key, sizeBytes, modifiedAt } of this.#store.list('')) {
      totals.objects++
      totals.sizeBytes += sizeBytes
      const runId = RUN_KEY.exec(key)?.[1]
      if (runId === undefined) totals.unrecognised++
      else isOld.set(runId, (isOld.get(runId) ?? true) && modifiedAt < this.#options.before)
    }
    return [...isOld].filter(([, old]) => old).map(([runId]) => runId)
  }

  async #collectRun(runId: string, known: KnownRun | undefined): Promise<void> {
    const reason = this.#reasonOf(known)
    if (reason === undefined) return
    const objects: ObjectHead[] = []
    for await (const object of this.#store.list(`runs/${runId}/`)) objects.push(object)
    const kept = reason === 'unreferenced' ? await this.#namedOf(runId, objects, known?.names ?? []) : new Set<string>()
    if (kept === undefined) {
      this.#doubtful.push(runId)
      return
    }
    const garbage = objects.filter(({ key }) => !kept.has(key)).sort(descriptionsFirst)
    const part = garbage.slice(0, this.#left)
    this.#left -= part.length
    for (let start = 0; start < part.length; start += DELETIONS_A_LOOK) {
      if (!this.#options.dryRun && !(await this.#isStill(reason, runId))) return
      for (const object of part.slice(start, start + DELETIONS_A_LOOK)) await this.#remove(object, reason)
    }
  }

  /** Why something of the run may go; undefined: nothing may. */
  #reasonOf(known: KnownRun | undefined): GarbageReason | undefined {
    if (known === undefined) return 'unknown-run'
    if (known.live) return undefined
    return this.#options.unwanted && !known.wanted && known.state !== 'succeeded' ? 'unwanted-run' : 'unreferenced'
  }

  async #isStill(reason: GarbageReason, runId: string): Promise<boolean> {
    const [known] = await this.#options.references([runId])
    return this.#reasonOf(known) === reason
  }

  /** Keys that are named; undefined where a manifest cannot be read, so that nobody knows. */
  async #namedOf(runId: string, objects: readonly ObjectHead[], names: readonly string[]): Promise<Set<string> | undefined> {
    const kept = new Set(names.map((name) => `runs/${runId}/${name}`))
    for (const { key } of objects) {
      if (!isManifest(key)) continue
      const listed = await listedByManifest(this.#store, key)
      if (listed === undefined) return undefined
      kept.add(key)
      for (const name of listed) kept.add(`runs/${runId}/${name}`)
    }
    return kept
  }

  async #remove({ key, sizeBytes }: ObjectHead, reason: GarbageReason): Promise<void> {
    if (!this.#options.dryRun) {
      const now = await this.#store.head(key)
      if (now === undefined || now.modifiedAt >= this.#options.before) return
      await this.#store.delete(key)
      this.#deleted++
    }
    const sum = this.#garbage[reason]
    sum.objects++
    sum.sizeBytes += sizeBytes
    if (this.#sample.length < SAMPLE) this.#sample.push(key)
  }
}

const isManifest = (key: string) => key.endsWith('manifest.json')

/** What describes other objects (manifests, receipts of shards) goes before them: nothing ever describes what is gone. */
function descriptionsFirst(a: ObjectHead, b: ObjectHead): number {
  const rank = ({ key }: ObjectHead) => (isManifest(key) ? 0 : key.endsWith('.json') ? 1 : 2)
  return rank(a) - rank(b) || (a.key < b.key ? -1 : 1)
}
