/** What must hold at the end, whatever happened on the way. Each problem is one line. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { collectGarbage, openObjectStore } from '#libs/artifacts'
import { openRunStore } from '#libs/run-store'
import { type Lab, processesOf } from './lab.ts'

/** The part of a lab's rows that must not depend on what broke: in a form that compares bit for bit. */
export interface Outcome {
  readonly results: ReadonlyMap<string, string>
  readonly artifacts: ReadonlyMap<string, string>
  /** Of each step and name the newest attempt's value. */
  readonly metrics: ReadonlyMap<string, string>
}

/** Points that measure time. */
const TIMED = ['stepSeconds', 'dataWaitSeconds', 'imagesPerSecond']

export async function outcomeOf({ db }: Lab): Promise<Outcome> {
  const results = await db.rows<{ key: string; value: string }>(
    `SELECT concat_ws(' ', run_id, label, metric) AS key, concat_ws(' ', value, low, high) AS value FROM result`,
  )
  const artifacts = await db.rows<{ key: string; value: string }>(
    `SELECT concat_ws(' ', run_id, name) AS key, concat_ws(' ', sha256, size_bytes) AS value FROM artifact`,
  )
  const metrics = await db.rows<{ key: string; value: string }>(
    `SELECT DISTINCT ON (run_id, step, name) concat_ws(' ', run_id, step, name) AS key, value::text AS value
     FROM metric WHERE name <> ALL($1::text[]) ORDER BY run_id, step, name, attempt DESC`,
    [TIMED],
  )
  const mapOf = (rows: readonly { key: string; value: string }[]) => new Map(rows.map(({ key, value }) => [key, value]))
  return { results: mapOf(results), artifacts: mapOf(artifacts), metrics: mapOf(metrics) }
}

export interface Comparison {
  readonly compared: number
  readonly mismatches: readonly string[]
  /** Points that the undisturbed lab has and this one lost with a killed process. */
  readonly pointsMissing: number
}

/** Results and artifacts must be the same set; a metric point may be missing (its process was killed), never be another. */
export function compare(calm: Outcome, stormy: Outcome): Comparison {
  const mismatches: string[] = []
  let compared = 0
  for (const what of ['results', 'artifacts'] as const) {
    for (const key of new Set([...calm[what].keys(), ...stormy[what].keys()])) {
      compared++
      if (calm[what].get(key) !== stormy[what].get(key)) {
        mismatches.push(
          `${what}: ${key}: ${calm[what].get(key) ?? 'absent'} undisturbed, ${stormy[what].get(key) ?? 'absent'} here`,
        )
      }
    }
  }
  for (const [key, value] of stormy.metrics) {
    compared++
    if (calm.metrics.get(key) !== value)
      mismatches.push(`metric ${key}: ${calm.metrics.get(key) ?? 'absent'} undisturbed, ${value} here`)
  }
  return { compared, mismatches, pointsMissing: [...calm.metrics.keys()].filter((key) => !stormy.metrics.has(key)).length }
}

/** Query -> what its rows are: each row is a problem. */
const LEDGER: readonly (readonly [what: string, sql: string])[] = [
  [
    'run did not succeed',
    `SELECT id || ' is ' || state || ': ' || COALESCE(message, '') AS problem FROM run WHERE state <> 'succeeded'`,
  ],
  [
    'run did not succeed exactly once',
    `SELECT r.id || ' has ' || count(a.id) || ' successes' AS problem FROM run r
     LEFT JOIN attempt a ON a.run_id = r.id AND a.ending = 'succeeded' GROUP BY r.id HAVING count(a.id) <> 1`,
  ],
  [
    'success told more or less than once',
    `SELECT r.id || ': ' || count(e.id) || ' events' AS problem FROM run r
     LEFT JOIN event e ON e.run_id = r.id AND e.type = 'run.succeeded' GROUP BY r.id HAVING count(e.id) <> 1`,
  ],
  ['attempt without an end', `SELECT id || ' is ' || state AS problem FROM attempt WHERE state <> 'ended'`],
  [
    'attempt after the success',
    `SELECT a.id || ' has number ' || a.number AS problem FROM attempt a
     JOIN attempt s ON s.run_id = a.run_id AND s.ending = 'succeeded' WHERE a.number > s.number`,
  ],
  [
    'gap in the numbers of attempts',
    `SELECT run_id || ': ' || count(*) || ' attempts up to number ' || max(number) AS problem
     FROM attempt GROUP BY run_id HAVING count(*) <> max(number)`,
  ],
  [
    'attempt whose end was not told exactly once',
    `SELECT a.id || ': ' || count(e.id) || ' events' AS problem FROM attempt a
     LEFT JOIN event e ON e.attempt_id = a.id AND e.type = 'attempt.ended' GROUP BY a.id HAVING count(e.id) <> 1`,
  ],
  [
    'ending that no fault explains',
    `SELECT id || ' ended as ' || ending || ': ' || COALESCE(message, '') AS problem
     FROM attempt WHERE ending NOT IN ('succeeded', 'preempted', 'lost', 'crashed')`,
  ],
  [
    'fencing tokens out of order',
    `SELECT run_id || ' number ' || number AS problem FROM (
       SELECT run_id, number, fencing, lag(fencing) OVER (PARTITION BY run_id ORDER BY number) AS before FROM attempt WHERE fencing IS NOT NULL
     ) t WHERE before >= fencing`,
  ],
  ['row left in the outbox', `SELECT attempt_id AS problem FROM outbox`],
]

export async function ledgerProblems({ db }: Lab): Promise<string[]> {
  const problems: string[] = []
  for (const [what, sql] of LEDGER) {
    for (const { problem } of await db.rows<{ problem: string }>(sql)) problems.push(`${what}: ${problem}`)
  }
  return problems
}

export async function endingsOf({ db }: Lab): Promise<Record<string, number>> {
  const rows = await db.rows<{ ending: string; count: number }>(
    'SELECT ending, count(*)::int AS count FROM attempt GROUP BY ending ORDER BY ending',
  )
  return Object.fromEntries(rows.map(({ ending, count }) => [ending, count]))
}

/** What killed processes left in the store, collected as an operator collects it. */
export async function collectLeftovers({ objects, databaseUrl }: Lab): Promise<{ objects: number; temporary: number }> {
  const store = await openObjectStore(pathToFileURL(objects).href)
  const runStore = await openRunStore({ databaseUrl, poolSize: 1 })
  try {
    // Nobody writes any more: all that is there is old enough.
    const before = new Date(Date.now() + 1000)
    const { references } = runStore.references
    const { deleted, unfinished, doubtfulRuns } = await collectGarbage(store, { references, before, dryRun: false })
    if (doubtfulRuns.length > 0) throw new Error(`manifests that cannot be read, of runs ${doubtfulRuns.join(', ')}`)
    return { objects: deleted, temporary: unfinished.count }
  } finally {
    await runStore.close()
  }
}

/** Objects that neither an artifact's row nor a manifest names, and temporary files. */
export async function storeProblems({ objects, db }: Lab): Promise<string[]> {
  const files = (await readdir(objects, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(objects.length + 1))
  const named = new Set(
    (await db.rows<{ key: string }>(`SELECT 'runs/' || run_id || '/' || name AS key FROM artifact`)).map(({ key }) => key),
  )
  for (const file of files.filter((name) => name.endsWith('manifest.json'))) {
    named.add(file)
    const { runId, files: listed } = JSON.parse(await readFile(join(objects, file), 'utf8')) as {
      runId: string
      files: { name: string }[]
    }
    for (const { name } of listed) named.add(`runs/${runId}/${name}`)
  }
  return [
    ...files.filter((file) => !named.has(file)).map((file) => `nothing names ${file}`),
    ...[...named].filter((key) => !files.includes(key)).map((key) => `${key} is named and not there`),
  ]
}

/** Call it when the lab is stopped. */
export async function orphans(dir: string): Promise<string[]> {
  return (await processesOf(dir)).map((pid) => `process ${pid} outlived its lab`)
}
