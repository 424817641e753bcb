/**
 * Runs against a real server where one is named: S3_TEST_ENDPOINT, S3_TEST_BUCKET (made where missing), S3_TEST_ACCESS_KEY,
 * S3_TEST_SECRET_KEY.
 */
import { randomUUID } from 'node:crypto'
import { CreateBucketCommand, CreateMultipartUploadCommand, S3Client } from '@aws-sdk/client-s3'
import { beforeAll, describe, expect, it } from 'vitest'
import { objectStoreConformance } from '../conformance/object-store-conformance.ts'
import { openObjectStore } from '../open-store.ts'
import { openS3Store } from './s3-store.ts'

const { S3_TEST_ENDPOINT: endpoint, S3_TEST_BUCKET: bucket = 'cxrlab-test' } = process.env
const credentials = {
  accessKeyId: process.env.S3_TEST_ACCESS_KEY ?? 'test',
  secretAccessKey: process.env.S3_TEST_SECRET_KEY ?? 'testtest',
}
const options = { ...(endpoint ? { endpoint } : {}), credentials }

async function makeBucket(): Promise<void> {
  const client = new S3Client({ ...options, region: 'us-east-1', forcePathStyle: true })
  await client.send(new CreateBucketCommand({ Bucket: bucket })).catch((error: Error) => {
    if (!/BucketAlready/.test(error.name)) throw error
  })
}

if (endpoint) {
  objectStoreConformance('the S3 store', async () => {
    await makeBucket()
    const store = await openS3Store(bucket, `t-${randomUUID()}`, options)
    const close = async () => {
      for await (const { key } of store.list('')) await store.delete(key)
    }
    return { store, close }
  })
} else {
  console.warn('S3 store: the conformance suite is skipped: S3_TEST_ENDPOINT names no server')
}

describe('the S3 store', () => {
  beforeAll(async () => {
    if (endpoint) await makeBucket()
  })

  it.skipIf(!endpoint)('presigns an address that serves the object (skipped without S3_TEST_ENDPOINT)', async () => {
    const store = await openObjectStore(`s3://${bucket}/t-${randomUUID()}`, { s3: options })
    await store.put('shared', Buffer.from('bytes'))
    const address = await store.presignGet('shared', 60)
    const answer = await fetch(address!)
    expect([answer.status, await answer.text()]).toEqual([200, 'bytes'])
    await store.delete('shared')
  })

  it.skipIf(!endpoint)('aborts uploads that were never finished (skipped without S3_TEST_ENDPOINT)', async () => {
    const prefix = `t-${randomUUID()}`
    const store = await openS3Store(bucket, prefix, options)
    const client = new S3Client({ ...options, region: 'us-east-1', forcePathStyle: true })
    await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: `${prefix}/runs/half` }))
    await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: `${prefix}-other/half` }))
    const later = new Date(Date.now() + 3_600_000)
    expect(await store.removeUnfinished(new Date(0), { dryRun: false })).toEqual({ count: 0, sizeBytes: 0 })
    expect(await store.removeUnfinished(later, { dryRun: true })).toEqual({ count: 1, sizeBytes: 0 })
    expect(await store.removeUnfinished(later, { dryRun: false })).toEqual({ count: 1, sizeBytes: 0 })
    expect(await store.removeUnfinished(later, { dryRun: false })).toEqual({ count: 0, sizeBytes: 0 })
    const left = await openS3Store(bucket, `${prefix}-other`, options)
    expect(await left.removeUnfinished(later, { dryRun: false })).toEqual({ count: 1, sizeBytes: 0 })
  })

  it.skipIf(!endpoint)('says that a bucket does not exist (skipped without S3_TEST_ENDPOINT)', async () => {
    await expect(openS3Store(`none-${randomUUID()}`, '', options)).rejects.toThrow('does not exist')
  })

  it('says that a server cannot be reached', async () => {
    const nowhere = { endpoint: 'http://127.0.0.1:9', credentials }
    await expect(openS3Store('bucket', '', nowhere)).rejects.toThrow('bucket "bucket" cannot be reached: ECONNREFUSED')
  })
})
