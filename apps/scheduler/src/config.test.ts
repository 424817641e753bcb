import { expect, it } from 'vitest'
import { ConfigError, parseConfig } from './config.ts'

const valid = { DATABASE_URL: 'postgres://db/lab', QUEUE_URL: 'redis://queue' }

it('takes the two addresses and fills the rest', () => {
  expect(parseConfig({ ...valid, OUTBOX_POLL_MS: '' })).toMatchObject({ queueUrl: 'redis://queue', outboxPollMs: 1000 })
})

it('names every problem at once, without the values', () => {
  const parse = () => parseConfig({ QUEUE_URL: 'ftp://secret', LEASE_SWEEP_MS: '1' })
  expect(parse).toThrow(ConfigError)
  expect(parse).toThrow(/DATABASE_URL: is not set; QUEUE_URL: must be a URL.*; LEASE_SWEEP_MS: /)
  expect(parse).not.toThrow(/secret/)
})
