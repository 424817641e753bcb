import { type Command, InvalidArgumentError } from 'commander'
import { parseAnswer } from '../client/api-client.ts'
import { type GarbageReport, garbageReportSchema } from '../client/wire.ts'
import { renderGarbage } from '../render/garbage.ts'
import { type Context, printAnswer } from './context.ts'

interface GcOptions {
  /** Seconds. */
  readonly olderThan: number
  readonly unwanted: boolean
  readonly yes: boolean
}

const SECONDS: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 }

export function addGc(program: Command, context: Context): void {
  program
    .command('gc')
    .description('what the object store holds and nobody names any more; deletes it with --yes (role admin)')
    .option('--older-than <age>', 'only what is older, such as 90m, 24h, 7d; at least 10m', ageSeconds, SECONDS.d)
    .option('--unwanted', 'also all of runs that ended without success and that only cancelled grids want', false)
    .option('--yes', 'delete; without it nothing is', false)
    .action(async (options: GcOptions) => await collect(context, options))
}

async function collect(context: Context, { olderThan, unwanted, yes }: GcOptions): Promise<void> {
  const api = context.api()
  const ask = async (dryRun: boolean) => {
    const body = { dryRun, olderThanSeconds: olderThan, unwanted }
    const answer = await api.post('/v1/garbage', body)
    return { answer, report: parseAnswer(garbageReportSchema, answer) }
  }
  if (!yes) {
    const { answer, report } = await ask(true)
    return printAnswer(context, answer, () => `${renderGarbage(report)}\nnothing was deleted; --yes deletes it`)
  }
  const reports: GarbageReport[] = []
  const answers: unknown[] = []
  do {
    const { answer, report } = await ask(false)
    answers.push(answer)
    reports.push(report)
    // Objects that became young while the server looked count towards its limit too: it ends where a call deletes nothing.
  } while (reports.at(-1)?.complete === false && (reports.at(-1)?.deleted ?? 0) > 0)
  printAnswer(context, answers, () => reports.map((report) => renderGarbage(report)).join('\n'))
}

function ageSeconds(text: string): number {
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? []
  const seconds = Number(count) * (SECONDS[unit ?? ''] ?? Number.NaN)
  if (!(seconds >= 600)) throw new InvalidArgumentError('must be an age of at least 10m, such as 90m, 24h or 7d')
  return seconds
}
