import { describe, expect, it } from 'vitest'
import { fireTimesAfter, lastFireTimeWithin, ScheduleInputError } from './cron.ts'

const berlin = (cron: string) => ({ cron, timezone: 'Europe/Berlin' })
const fires = (schedule: { cron: string; timezone: string }, after: string, count = 3) =>
  fireTimesAfter(schedule, new Date(after), count).map((time) => time.toISOString().replace(':00.000Z', 'Z'))

describe('fire times', () => {
  it('are read on the wall clock of their zone, strictly after the instant', () => {
    expect(fires(berlin('0 2 * * *'), '2026-11-24T01:00:00Z')).toEqual([
      '2026-11-25T01:00Z',
      '2026-11-26T01:00Z',
      '2026-11-27T01:00Z',
    ])
    expect(fires(berlin('0 2 * * *'), '2026-11-24T00:59:59.999Z', 1)).toEqual(['2026-11-24T01:00Z'])
    expect(fires({ cron: '30 6 * * MON-FRI', timezone: 'America/New_York' }, '2026-07-03T12:00:00Z', 2)).toEqual([
      '2026-07-06T10:30Z',
      '2026-07-07T10:30Z',
    ])
  })

  it('stay at their wall time when the offset changes', () => {
    expect(fires(berlin('0 4 * * *'), '2026-10-24T00:00:00Z')).toEqual([
      '2026-10-24T02:00Z',
      '2026-10-25T03:00Z',
      '2026-10-26T03:00Z',
    ])
  })

  it('that the clock leaps over fire in the hour that follows, from whatever instant one asks', () => {
    // 2027-03-28: after 01:59 comes 03:00, at 01:00Z.
    const night = berlin('30 2 * * *')
    expect(fires(night, '2027-03-27T12:00:00Z', 2)).toEqual(['2027-03-28T01:30Z', '2027-03-29T00:30Z'])
    expect(fires(night, '2027-03-28T01:10:00Z', 2)).toEqual(['2027-03-28T01:30Z', '2027-03-29T00:30Z'])
    expect(fires(night, '2027-03-28T01:30:00Z', 1)).toEqual(['2027-03-29T00:30Z'])
  })

  it('in an hour that is repeated fire once, from whatever instant one asks', () => {
    // 2026-10-25: 02:00-02:59 comes twice, at 00:00Z and at 01:00Z.
    const night = berlin('30 2 * * *')
    expect(fires(night, '2026-10-24T12:00:00Z', 2)).toEqual(['2026-10-25T00:30Z', '2026-10-26T01:30Z'])
    expect(fires(night, '2026-10-25T00:30:00Z', 1)).toEqual(['2026-10-26T01:30Z'])
    expect(fires(night, '2026-10-25T01:10:00Z', 1)).toEqual(['2026-10-26T01:30Z'])
  })

  it('of a leap day are found years ahead', () => {
    expect(fires({ cron: '0 0 29 2 *', timezone: 'UTC' }, '2026-11-24T00:00:00Z', 2)).toEqual([
      '2028-02-29T00:00Z',
      '2032-02-29T00:00Z',
    ])
  })
})

describe('the last fire time of a span', () => {
  const daily = { cron: '0 2 * * *', timezone: 'UTC' }
  const last = (schedule: typeof daily, after: string, until: string) =>
    lastFireTimeWithin(schedule, new Date(after), new Date(until))?.toISOString()

  it('includes the end, not the start', () => {
    expect(last(daily, '2026-11-01T02:00:00Z', '2026-11-02T02:00:00Z')).toBe('2026-11-02T02:00:00.000Z')
    expect(last(daily, '2026-11-02T02:00:00Z', '2026-11-03T01:59:59Z')).toBeUndefined()
  })

  it('is the latest of many', () => {
    expect(last(daily, '2025-01-01T00:00:00Z', '2026-11-24T14:00:00Z')).toBe('2026-11-24T02:00:00.000Z')
    expect(last({ ...daily, cron: '* * * * *' }, '2020-01-01T00:00:00Z', '2026-11-24T14:00:30Z')).toBe('2026-11-24T14:00:00.000Z')
  })
})

describe('what is refused', () => {
  const problem = (cron: string, timezone = 'UTC') => {
    try {
      fireTimesAfter({ cron, timezone }, new Date(0), 1)
    } catch (error) {
      if (error instanceof ScheduleInputError) return `${error.field}: ${error.message}`
      throw error
    }
    return undefined
  }

  it.each([
    ['60 2 * * *', 'the minute "60"'],
    ['0 24 * * *', 'the hour "24"'],
    ['0 jan * * *', 'the hour "jan"'],
    ['0 2 0 * *', 'the day of month "0"'],
    ['0 2 * 13 *', 'the month "13"'],
    ['0 2 * * 8', 'the day of week "8"'],
    ['0 2 * * MON-', 'the day of week "MON-"'],
    ['1x-5 2 * * *', 'the minute "1x-5"'],
    ['H 2 * * *', 'the minute "H"'],
    ['5-1 2 * * *', 'the minute "5-1"'],
    ['*/0 2 * * *', 'the minute "*/0"'],
    ['0,, 2 * * *', 'the minute "0,,"'],
    ['0 2 * *', 'does not have the five fields'],
    ['0 0 2 * * *', 'does not have the five fields'],
    ['@daily', 'does not have the five fields'],
    ['0 0 30 2 *', 'never fires'],
    ['', 'does not have the five fields'],
  ])('the rule "%s", by its field', (cron, text) => {
    expect(problem(cron)).toMatch(/^cron: /)
    expect(problem(cron)).toContain(text)
  })

  it.each(['Europe/Berlim', '+02:00', 'UTC+2', ''])('the zone "%s"', (timezone) => {
    expect(problem('0 2 * * *', timezone)).toBe(
      `timezone: "${timezone}" is no time zone: give an IANA name, such as Europe/Berlin or UTC`,
    )
  })
})
