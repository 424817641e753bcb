import { expect, it } from 'vitest'
import { decideSchedule, type OverlapRule, type ScheduleState } from './catch-up.ts'

const at = (text: string) => new Date(`2026-11-${text}:00Z`)
const state = (settledThrough: string, busy = false, overlap: OverlapRule = 'skip'): ScheduleState => ({
  schedule: { cron: '0 2 * * *', timezone: 'UTC' },
  overlap,
  settledThrough: at(settledThrough),
  busy,
})

it('waits for the next fire time', () => {
  expect(decideSchedule(state('10T02:00'), at('11T01:59'))).toEqual({ action: 'wait', until: at('11T02:00') })
})

it('starts at the fire time, once', () => {
  expect(decideSchedule(state('10T02:00'), at('11T02:00'))).toEqual({
    action: 'start',
    scheduledFor: at('11T02:00'),
    missedSince: null,
  })
  expect(decideSchedule(state('11T02:00'), at('11T02:00')).action).toBe('wait')
})

it('makes up for one missed night late, and for a week of them with one start', () => {
  expect(decideSchedule(state('10T02:00'), at('11T09:00'))).toMatchObject({ action: 'start', scheduledFor: at('11T02:00') })
  const week = decideSchedule(state('10T02:00'), at('17T09:00'))
  expect(week).toEqual({ action: 'start', scheduledFor: at('17T02:00'), missedSince: at('11T02:00') })
  expect(decideSchedule(state('17T02:00'), at('17T09:00'))).toEqual({ action: 'wait', until: at('18T02:00') })
})

it('skips what finds the night before at work', () => {
  expect(decideSchedule(state('10T02:00', true), at('11T02:00'))).toEqual({
    action: 'skip',
    scheduledFor: at('11T02:00'),
    missedSince: null,
  })
})

it('holds it where the rule is to queue, and starts the latest alone when the work ends', () => {
  expect(decideSchedule(state('10T02:00', true, 'queue'), at('12T03:00'))).toEqual({
    action: 'hold',
    scheduledFor: at('12T02:00'),
  })
  expect(decideSchedule(state('10T02:00', false, 'queue'), at('12T03:00'))).toEqual({
    action: 'start',
    scheduledFor: at('12T02:00'),
    missedSince: at('11T02:00'),
  })
})

it('does not start a night twice through the hour that autumn repeats', () => {
  const autumn = (settled: string): ScheduleState => ({
    ...state('01T00:00'),
    schedule: { cron: '30 2 * * *', timezone: 'Europe/Berlin' },
    settledThrough: new Date(settled),
  })
  expect(decideSchedule(autumn('2026-10-24T00:30:00Z'), new Date('2026-10-25T00:31:00Z')).action).toBe('start')
  expect(decideSchedule(autumn('2026-10-25T00:30:00Z'), new Date('2026-10-25T01:31:00Z')).action).toBe('wait')
})
