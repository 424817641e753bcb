import { type CronExpression, CronExpressionParser } from 'cron-parser'

/** When something fires: a cron rule, read on the wall clock of a time zone. */
export interface CronSchedule {
  /** Minute, hour, day of month, month, day of week: `0 2 * * *` is two at night. */
  readonly cron: string
  /** IANA name, `Europe/Berlin`; offsets are refused, since they know no summer time. */
  readonly timezone: string
}

/** A schedule that cannot be read; `field` is the one to mend. */
export class ScheduleInputError extends Error {
  readonly code = 'schedule-input'
  override readonly name = 'ScheduleInputError'
  readonly field: 'cron' | 'timezone'

  constructor(field: 'cron' | 'timezone', message: string) {
    super(message)
    this.field = field
  }
}

const FIELDS = [
  { name: 'minute', range: '0-59' },
  { name: 'hour', range: '0-23' },
  { name: 'day of month', range: '1-31' },
  { name: 'month', range: '1-12 or JAN-DEC' },
  { name: 'day of week', range: '0-7 or SUN-SAT' },
] as const

/** One item of a field's list. Narrower than the parser, which takes `1x-5` for 1-5 and draws at random for `H`. */
const ITEM = /^(\*|(\d{1,2}|[a-z]{3})(-(\d{1,2}|[a-z]{3}))?)(\/\d{1,2})?$/i

/**
 * How far before an instant the walk starts: longer than any hour that a clock skips or repeats. The parser knows of such an
 * hour only when it walks through it; started inside, it would fire again, or forget the fire time that was skipped.
 */
const RUN_UP_MS = 3 * 3_600_000

/**
 * The next fire times strictly after an instant, ascending.
 *
 * When the clock leaps forward over a fire time, it fires at the same minute of the hour that follows; when an hour is
 * repeated, a rule that names the hour fires in the first of the two alone (one whose hour is `*` fires in both).
 * @throws ScheduleInputError naming the field that is wrong.
 */
export function fireTimesAfter(schedule: CronSchedule, after: Date, count: number): Date[] {
  const walk = walkFrom(schedule, new Date(after.getTime() - RUN_UP_MS))
  const times: Date[] = []
  while (times.length < count) {
    const time = walk()
    if (time > after) times.push(time)
  }
  return times
}

/**
 * The last fire time in `(after, until]`, or null. Looks at the last hour, then at twice as much, and so on: a schedule that
 * fires each minute and stood still for a year costs no more than an hour of it.
 * @throws ScheduleInputError naming the field that is wrong.
 */
export function lastFireTimeWithin(schedule: CronSchedule, after: Date, until: Date): Date | null {
  const [first] = fireTimesAfter(schedule, after, 1)
  if (first === undefined || first > until) return null
  for (let spanMs = 3_600_000; ; spanMs *= 2) {
    const from = new Date(Math.max(after.getTime(), until.getTime() - spanMs))
    const last = lastOf(schedule, from, until)
    if (last !== null) return last
  }
}

function lastOf(schedule: CronSchedule, after: Date, until: Date): Date | null {
  const walk = walkFrom(schedule, new Date(after.getTime() - RUN_UP_MS))
  let last: Date | null = null
  for (let time = walk(); time <= until; time = walk()) if (time > after) last = time
  return last
}

function walkFrom(schedule: CronSchedule, from: Date): () => Date {
  checkTimezone(schedule.timezone)
  const fields = checkCron(schedule.cron)
  const expression = parse(fields.join(' '), schedule.timezone, from)
  if (expression === null) throw new ScheduleInputError('cron', `"${schedule.cron}" never fires`)
  return () => {
    try {
      return new Date(expression.next().getTime())
    } catch (cause) {
      throw new ScheduleInputError('cron', `"${schedule.cron}" never fires: ${(cause as Error).message}`)
    }
  }
}

function checkTimezone(timezone: string): void {
  try {
    if (/^[a-z]/i.test(timezone)) new Intl.DateTimeFormat('en', { timeZone: timezone })
    else throw new RangeError('not a name')
  } catch {
    throw new ScheduleInputError('timezone', `"${timezone}" is no time zone: give an IANA name, such as Europe/Berlin or UTC`)
  }
}

/** @returns the five fields, each of which parses when it stands alone. */
function checkCron(cron: string): string[] {
  const fields = cron.trim().split(/\s+/)
  if (fields.length !== FIELDS.length) {
    const names = FIELDS.map(({ name }) => name).join(', ')
    throw new ScheduleInputError('cron', `"${cron}" does not have the five fields ${names}`)
  }
  fields.forEach((field, i) => {
    const alone = FIELDS.map((_, j) => (i === j ? field : '*')).join(' ')
    if (field.split(',').every((item) => ITEM.test(item)) && parse(alone, 'UTC', new Date(0)) !== null) return
    const { name, range } = FIELDS[i]!
    throw new ScheduleInputError(
      'cron',
      `the ${name} "${field}" is not of ${range}: give values, lists (1,3), ranges (1-5) or steps (*/2)`,
    )
  })
  return fields
}

function parse(cron: string, tz: string, currentDate: Date): CronExpression | null {
  try {
    return CronExpressionParser.parse(cron, { tz, currentDate })
  } catch {
    return null
  }
}
