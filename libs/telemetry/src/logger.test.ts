import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createLogger, runLogger } from './logger.ts'

function capture(level: 'debug' | 'info' = 'info') {
  const lines: string[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const logger = createLogger({ service: 'worker', level, destination })
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> }
}

describe('createLogger', () => {
  it('writes one JSON line with service, level by name and ISO time', () => {
    const { logger, lines, last } = capture()
    logger.info({ outboxRows: 3 }, 'handed over')
    expect(lines).toHaveLength(1)
    expect(last()).toMatchObject({ level: 'info', service: 'worker', pid: process.pid, outboxRows: 3, msg: 'handed over' })
    expect(last().time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  it('leaves out lines below its level', () => {
    const { logger, lines } = capture('info')
    logger.debug('detail')
    expect(lines).toEqual([])
  })

  it('replaces secrets by field name at any depth', () => {
    const { logger, lines, last } = capture()
    logger.info(
      { a: { password: 'p1', list: [{ apiKey: 'p2', api_key: 'p3' }] }, token: 'p4', S3_SECRET_ACCESS_KEY: 'p5', host: 'db' },
      'x',
    )
    expect(lines.join('')).not.toMatch(/p[1-5]/)
    expect(last().host).toBe('db')
  })

  it('replaces credentials of connection strings in messages, fields, bindings, errors and their causes', () => {
    const { logger, lines, last } = capture()
    const url = 'postgresql://lab:hunter2@db.example:5432/lab'
    const error = new Error(`cannot reach ${url}`, { cause: new Error(`tried redis://:hunter2@cache:6379`) })
    logger.child({ queue: url }).error({ err: error, url, nested: { url } }, `lost ${url}`)
    expect(lines.join('')).not.toContain('hunter2')
    expect(last().msg).toBe('lost postgresql://[redacted]@db.example:5432/lab')
    expect(JSON.stringify(last().err)).toContain('redis://[redacted]@cache:6379')
  })

  it('keeps what a database driver hangs on its errors out of the log', () => {
    const { logger, lines, last } = capture()
    logger.error({ err: Object.assign(new Error('duplicate key'), { code: '23505', detail: 'Key (subject)=(10001217) exists' }) })
    expect(lines.join('')).not.toContain('10001217')
    expect(last().err).toMatchObject({ type: 'Error', code: '23505', message: 'duplicate key' })
  })

  it('keeps the words on a wrong data set out of the log: its files are named after patients', () => {
    const { logger, lines, last } = capture()
    const wrong = Object.assign(new Error('the image cannot be decoded\n(p10/p10001217/s1.jpg)'), { code: 'spec-error' })
    logger.error({ err: new Error('the run failed', { cause: wrong }) }, 'attempt failed')
    expect(lines.join('')).not.toContain('10001217')
    expect(last().err).toMatchObject({
      message: 'the run failed',
      cause: { type: 'Error', code: 'spec-error', stack: expect.stringContaining('at ') },
    })
  })

  it('ends on a cyclic value', () => {
    const { logger, lines } = capture()
    const cyclic: Record<string, unknown> = {}
    cyclic.self = cyclic
    logger.info(cyclic, 'cycle')
    expect(lines[0]).toContain('[deep]')
  })
})

describe('runLogger', () => {
  it('names the run and the attempt in every line of the child', () => {
    const { logger, last } = capture()
    const child = runLogger(runLogger(logger, { attemptId: 'a1' }), { runId: 'f00d' })
    child.info('leased')
    expect(last()).toMatchObject({ run_id: 'f00d', attempt_id: 'a1', msg: 'leased' })
    logger.info('idle')
    expect(last()).not.toHaveProperty('run_id')
  })
})
