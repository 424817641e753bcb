import { delimiter } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigError, parseConfig } from './config.ts'

const GOOD = { DATABASE_URL: 'postgres://lab:hunter2@127.0.0.1/lab', OBJECT_STORE_URL: 'file:///var/lab' }

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    parseConfig(environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('the configuration was accepted')
}

describe('configuration of the api', () => {
  it('takes the documented defaults where only the addresses are given', () => {
    expect(parseConfig(GOOD)).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      gridPointLimit: 20_000,
      bodyLimitBytes: 1_048_576,
      datasetRoots: [],
      logLevel: 'info',
    })
  })

  it('sends readers to the store only where it is not a server of the lab, unless told to', () => {
    expect(parseConfig(GOOD).artifactDownloads).toBe('presigned')
    expect(parseConfig({ ...GOOD, S3_ENDPOINT: 'http://store:8333' }).artifactDownloads).toBe('streamed')
    const told = { ...GOOD, S3_ENDPOINT: 'http://store:8333', ARTIFACT_DOWNLOADS: 'presigned' }
    expect(parseConfig(told).artifactDownloads).toBe('presigned')
  })

  it('splits the dataset roots as PATH is split', () => {
    expect(parseConfig({ ...GOOD, DATASET_ROOTS: ['/data/a', '/data/b'].join(delimiter) }).datasetRoots).toEqual([
      '/data/a',
      '/data/b',
    ])
    const mixed = parseConfig({ ...GOOD, DATASET_ROOTS: ['s3://lab/chest', '/data/b', 's3://other'].join(delimiter) })
    expect(mixed.datasetRoots).toEqual(['s3://lab/chest', '/data/b', 's3://other'])
  })

  it('reports all problems at once, by variable', () => {
    const problems = problemsOf({ API_PORT: '99999', LOG_LEVEL: 'loud', DATABASE_URL: '', DATASET_ROOTS: 'relative' })
    expect(problems.map((line) => line.split(':')[0]).sort()).toEqual([
      'API_PORT',
      'DATABASE_URL',
      'DATASET_ROOTS',
      'LOG_LEVEL',
      'OBJECT_STORE_URL',
    ])
    expect(problems).toContain('DATABASE_URL: is not set')
  })

  it.each(['0.0.0.0', '::', '192.168.1.4', 'lab.example', '127.0.0.1.lab.example'])(
    'needs keys on %s, which reaches beyond loopback',
    (host) => {
      expect(parseConfig({ ...GOOD, API_HOST: host }).auth).toBe('keys')
      expect(problemsOf({ ...GOOD, API_HOST: host, API_AUTH: 'off', LOG_LEVEL: 'loud' })).toEqual([
        expect.stringMatching(/^LOG_LEVEL: /),
        expect.stringMatching(/^API_AUTH: .*loopback/),
      ])
    },
  )

  it('needs none on loopback, unless asked to', () => {
    expect(parseConfig(GOOD).auth).toBe('off')
    expect(parseConfig({ ...GOOD, API_HOST: '::1', API_AUTH: 'off' }).auth).toBe('off')
    expect(parseConfig({ ...GOOD, API_AUTH: 'keys' }).auth).toBe('keys')
    expect(problemsOf({ ...GOOD, API_AUTH: 'none' })).toEqual([expect.stringMatching(/^API_AUTH: /)])
  })

  it.each(['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'])('names the half of the S3 credentials that is missing, %s', (missing) => {
    const both = { S3_ACCESS_KEY_ID: 'key', S3_SECRET_ACCESS_KEY: 'hunter2' }
    expect(problemsOf({ ...GOOD, ...both, [missing]: '' })).toEqual([expect.stringMatching(`^${missing}: is not set`)])
  })

  it('never prints the value of a secret', () => {
    const problems = problemsOf({ ...GOOD, DATABASE_URL: 'mysql://lab:hunter2@db/lab', S3_ENDPOINT: 'ftp://key:hunter2@s3' })
    expect(problems).toHaveLength(2)
    expect(problems.join()).not.toContain('hunter2')
  })
})
