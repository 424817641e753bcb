import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { ConfigError, parseConfig } from './config.ts'

const least = {
  DATABASE_URL: 'postgresql://lab:hunter2@db/lab',
  QUEUE_URL: 'redis://:hunter2@cache:6379',
  OBJECT_STORE_URL: 's3://lab/objects',
}

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    parseConfig(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

describe('parseConfig', () => {
  it('needs three addresses and defaults the rest', () => {
    expect(parseConfig(least)).toMatchObject({
      engine: 'auto',
      engineThreads: availableParallelism(),
      concurrency: 1,
      spareChildren: 1,
      idleMs: null,
      retry: {},
      resourceClass: 'cpu',
      heartbeatMs: 10_000,
      leaseMs: 45_000,
      checkpointEveryMs: 300_000,
      graceMs: 60_000,
      metrics: null,
      datasetRoots: [],
    })
  })

  it('reports every problem at once, by variable, and no value', () => {
    const problems = problemsOf({
      DATABASE_URL: 'hunter2',
      CONCURRENCY: '0',
      HEARTBEAT_MS: 'soon',
      ENGINE: 'torch',
      DATASET_ROOTS: 'data',
    })
    expect(problems.map((problem) => problem.split(':')[0]).toSorted()).toEqual([
      'CONCURRENCY',
      'DATABASE_URL',
      'DATASET_ROOTS',
      'ENGINE',
      'HEARTBEAT_MS',
      'OBJECT_STORE_URL',
      'QUEUE_URL',
    ])
    expect(problems).toContain('QUEUE_URL: is not set')
    expect(problems.join()).not.toContain('hunter2')
  })

  it('wants a lease of at least three heartbeats', () => {
    expect(problemsOf({ ...least, HEARTBEAT_MS: '20000' })).toEqual([expect.stringMatching(/^LEASE_MS: /)])
    expect(problemsOf({ ...least, HEARTBEAT_MS: '15000' })).toEqual([])
  })

  it.each(['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'])('names the half of the S3 credentials that is missing, %s', (missing) => {
    const both = { S3_ACCESS_KEY_ID: 'key', S3_SECRET_ACCESS_KEY: 'hunter2' }
    expect(problemsOf({ ...least, ...both, [missing]: '' })).toEqual([expect.stringMatching(`^${missing}: is not set`)])
  })

  it('shares the cores among the children', () => {
    expect(parseConfig({ ...least, CONCURRENCY: '256' }).engineThreads).toBe(
      Math.max(1, Math.floor(availableParallelism() / 256)),
    )
    expect(parseConfig({ ...least, ENGINE_THREADS: '3' }).childEnvironment.ENGINE_THREADS).toBe('3')
  })

  it('gives a child the object store, but neither the database nor the queue nor anything unknown', () => {
    const { childEnvironment } = parseConfig({
      ...least,
      PATH: '/bin',
      S3_ACCESS_KEY_ID: 'k',
      S3_SECRET_ACCESS_KEY: 's',
      S3_ENDPOINT: 'http://s3',
      MY_TOKEN: 'hunter2',
      LOG_LEVEL: '',
    })
    expect(childEnvironment).toMatchObject({
      PATH: '/bin',
      OBJECT_STORE_URL: 's3://lab/objects',
      S3_ACCESS_KEY_ID: 'k',
      ENGINE: 'auto',
      LOG_LEVEL: 'info',
    })
    expect(JSON.stringify(childEnvironment)).not.toContain('hunter2')
  })
})
