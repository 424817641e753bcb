/** The whole proof: the same grid undisturbed and under faults, and what must be equal and hold at the end. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawPlan, type FaultKind } from './faults.ts'
import { type Lab, startLab } from './lab.ts'
import { createRandom } from './random.ts'
import { type Storm, type Weathered, weather } from './storm.ts'
import {
  collectLeftovers,
  compare,
  endingsOf,
  ledgerProblems,
  type Outcome,
  orphans,
  outcomeOf,
  storeProblems,
} from './verify.ts'

export interface ChaosOptions {
  readonly runs: number
  readonly faults: number
  readonly seed: number
  /** Program of the Redis server; null: the queue lies in Postgres. */
  readonly redis: string | null
  readonly say: (line: string) => void
  /** Leave the labs' folders, with their logs. */
  readonly keep: boolean
  readonly withinMs: number
}

/** With fewer of the planned faults the proof is none. */
const LEAST_SHARE = 0.9

export interface ChaosReport {
  readonly seed: number
  readonly queue: 'redis' | 'postgres'
  readonly runs: number
  readonly faults: number
  readonly fired: Weathered['fired']
  readonly endings: Readonly<Record<string, number>>
  readonly compared: number
  readonly pointsMissing: number
  /** Of killed processes in the store, before they were collected. */
  readonly leftovers: { readonly objects: number; readonly temporary: number }
  readonly secondsUndisturbed: number
  readonly seconds: number
  /** Empty: everything held. */
  readonly problems: readonly string[]
  readonly folder: string
}

interface Lived {
  readonly weathered: Weathered
  readonly outcome: Outcome
  readonly endings: Readonly<Record<string, number>>
  readonly leftovers: ChaosReport['leftovers']
  readonly problems: readonly string[]
}

export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const folder = await mkdtemp(join(tmpdir(), 'cxrlab-chaos-'))
  // As root, the embedded Postgres runs as another user, who must be able to pass through.
  await chmod(folder, 0o711)
  const { runs, faults, seed, redis, say, withinMs } = options
  const random = createRandom(seed)
  const plan = drawPlan(faults, random, redis !== null)
  let failed = true
  try {
    const calm = await live(join(folder, 'calm'), redis, { runs, plan: [], random, say, withinMs })
    say(`undisturbed: ${calm.weathered.runs} runs in ${calm.weathered.seconds.toFixed(0)} s`)
    // Where an undisturbed lab does not keep its promises, faults would prove nothing.
    if (calm.problems.length > 0) throw new Error(`the undisturbed lab has problems:\n${calm.problems.slice(0, 10).join('\n')}`)
    const stormy = await live(join(folder, 'storm'), redis, { runs, plan, random, say, withinMs })
    const { compared, mismatches, pointsMissing } = compare(calm.outcome, stormy.outcome)
    const problems = [...stormy.problems, ...mismatches]
    const total = Object.values(stormy.weathered.fired).reduce((sum, count) => sum + count, 0)
    // The grid may end while the last fault still is under way.
    if (total < LEAST_SHARE * faults) problems.push(`only ${total} of ${faults} faults found a moment to fire`)
    failed = problems.length > 0
    return {
      seed,
      queue: redis === null ? 'postgres' : 'redis',
      runs: stormy.weathered.runs,
      faults: total,
      fired: stormy.weathered.fired,
      endings: stormy.endings,
      compared,
      pointsMissing,
      leftovers: stormy.leftovers,
      secondsUndisturbed: calm.weathered.seconds,
      seconds: stormy.weathered.seconds,
      problems,
      folder,
    }
  } finally {
    if (failed || options.keep) say(`logs and data: ${folder}`)
    else await rm(folder, { recursive: true, force: true })
  }
}

/** A lab from its start to its end. */
async function live(dir: string, redis: string | null, storm: Storm): Promise<Lived> {
  await mkdir(dir, { recursive: true })
  const lab = await startLab({ dir, redis })
  let judged: Omit<Lived, 'weathered'> & { weathered: Weathered }
  try {
    const weathered = await weather(lab, storm)
    judged = { weathered, ...(await judge(lab)) }
  } finally {
    await lab.stop()
  }
  return { ...judged, problems: [...judged.problems, ...(await orphans(dir))] }
}

async function judge(lab: Lab) {
  const leftovers = await collectLeftovers(lab)
  return {
    leftovers,
    outcome: await outcomeOf(lab),
    endings: await endingsOf(lab),
    problems: [...(await ledgerProblems(lab)), ...(await storeProblems(lab))],
  }
}

/** The report as lines for people. */
export function describeReport(report: ChaosReport): string {
  const kinds = Object.entries(report.fired) as [FaultKind, number][]
  const endings = Object.entries(report.endings).map(([ending, count]) => `${count} ${ending}`)
  return [
    `seed ${report.seed}, queue on ${report.queue}: ${report.runs} runs, ${report.faults} faults`,
    ...kinds.sort(([, a], [, b]) => b - a).map(([kind, count]) => `${String(count).padStart(5)}  ${kind}`),
    `attempts: ${endings.join(', ')}`,
    `${report.compared} values, artifacts and metric points compared bit for bit; ${report.pointsMissing} points lost with killed processes`,
    `${report.leftovers.objects} objects and ${report.leftovers.temporary} temporary files of killed processes were collected as garbage`,
    `${report.secondsUndisturbed.toFixed(0)} s undisturbed, ${report.seconds.toFixed(0)} s under faults`,
    report.problems.length === 0 ? 'no problem' : `${report.problems.length} problems:`,
    ...report.problems.slice(0, 40).map((problem) => `  ${problem}`),
  ].join('\n')
}
