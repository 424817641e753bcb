/** The object store in an S3 bucket (AWS, SeaweedFS, Ceph and others that speak If-None-Match and CRC32 or SHA-256). */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { ObjectExistsError, ObjectNotFoundError, ObjectRangeError, StoreAccessError } from '../errors.ts'
import {
  checkKey,
  checkPrefix,
  checkRange,
  type ObjectBody,
  type ObjectHead,
  type ObjectStore,
  type PutOptions,
  type StoredObject,
  type Unfinished,
} from '../object-store.ts'

export interface S3StoreOptions {
  /** Of a server other than AWS, `http://host:port`. */
  readonly endpoint?: string
  /** Default us-east-1, which servers other than AWS take. */
  readonly region?: string
  /** Bucket in the path instead of the host name; default true where an endpoint is given. */
  readonly forcePathStyle?: boolean
  /** Default: the SDK's own chain (environment, shared files, instance role). */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

/** Bodies above this go up in parts of this size; S3 takes 10,000 parts, so an object may have 160 GB. */
const PART_BYTES = 16 * 2 ** 20
const PARTS_AT_ONCE = 4

/**
 * Opens `bucket`, with all keys below `prefix` ('' for none).
 * @throws StoreAccessError where the bucket is missing, refused or unreachable.
 */
export async function openS3Store(bucket: string, prefix: string, options: S3StoreOptions = {}): Promise<ObjectStore> {
  const store = new S3Store(bucket, prefix, clientOf(options))
  await store.check()
  return store
}

function clientOf(options: S3StoreOptions): S3Client {
  return new S3Client({
    region: options.region ?? 'us-east-1',
    forcePathStyle: options.forcePathStyle ?? options.endpoint !== undefined,
    ...(options.endpoint ? { endpoint: options.endpoint } : {}),
    ...(options.credentials ? { credentials: options.credentials } : {}),
  })
}

function refusalOf(error: unknown): string {
  if (error instanceof Error && error.name === 'CredentialsProviderError') {
    return 'has no credentials to be opened with: set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or the variables of AWS'
  }
  switch (statusOf(error)) {
    case 404:
      return 'does not exist'
    case 403:
      return 'refuses these credentials (S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY)'
    default:
      return `cannot be reached: ${reasonOf(error)}`
  }
}

class S3Store implements ObjectStore {
  readonly url: string
  readonly #bucket: string
  readonly #prefix: string
  readonly #client: S3Client

  constructor(bucket: string, prefix: string, client: S3Client) {
    this.#bucket = bucket
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.#client = client
    this.url = `s3://${bucket}/${prefix}`
  }

  async check(): Promise<void> {
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket }))
    } catch (error) {
      throw new StoreAccessError(`the object store's bucket "${this.#bucket}" ${refusalOf(error)}`, { cause: error })
    }
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<StoredObject> {
    const target = { ...this.#at(key), ...(options.ifAbsent ? { IfNoneMatch: '*' } : {}) }
    try {
      if (body instanceof Uint8Array && body.byteLength <= PART_BYTES) return await this.#putWhole(target, body)
      return await this.#putParts(target, body instanceof Uint8Array ? chunksOf(body) : body)
    } catch (error) {
      // 412: the key was taken before; 409: by a writer that was racing this one.
      if (options.ifAbsent && [409, 412].includes(statusOf(error) ?? 0)) throw new ObjectExistsError(key, { cause: error })
      throw this.#explain(error, key, 'written')
    }
  }

  async #putWhole(target: { Bucket: string; Key: string }, body: Uint8Array): Promise<StoredObject> {
    const digest = createHash('sha256').update(body).digest()
    // The server compares the hash with what arrived: bytes damaged on the way are refused.
    await this.#client.send(new PutObjectCommand({ ...target, Body: body, ChecksumSHA256: digest.toString('base64') }))
    return { sha256: digest.toString('hex'), sizeBytes: body.byteLength }
  }

  async #putParts(target: { Bucket: string; Key: string }, body: AsyncIterable<Uint8Array>): Promise<StoredObject> {
    const hash = createHash('sha256')
    let sizeBytes = 0
    async function* hashed() {
      for await (const chunk of body) {
        hash.update(chunk)
        sizeBytes += chunk.byteLength
        yield chunk
      }
    }
    // Each part carries the SDK's CRC32, which the server verifies. A failed upload aborts its parts.
    const params = { ...target, Body: Readable.from(hashed(), { objectMode: false }) }
    const upload = new Upload({ client: this.#client, params, partSize: PART_BYTES, queueSize: PARTS_AT_ONCE })
    await upload.done()
    return { sha256: hash.digest('hex'), sizeBytes }
  }

  async get(key: string): Promise<Buffer> {
    try {
      const found = await this.#client.send(new GetObjectCommand({ ...this.#at(key), ChecksumMode: 'ENABLED' }))
      return Buffer.from(await found.Body!.transformToByteArray())
    } catch (error) {
      throw this.#explain(error, key, 'read')
    }
  }

  async getRange(key: string, start: number, length: number): Promise<Buffer> {
    checkRange(key, start, length)
    try {
      const range = `bytes=${start}-${start + length - 1}`
      const found = await this.#client.send(new GetObjectCommand({ ...this.#at(key), Range: range }))
      const bytes = Buffer.from(await found.Body!.transformToByteArray())
      if (bytes.byteLength !== length) throw new ObjectRangeError(key, start, length)
      return bytes
    } catch (error) {
      if (statusOf(error) === 416) throw new ObjectRangeError(key, start, length, { cause: error })
      throw this.#explain(error, key, 'read')
    }
  }

  async stream(key: string): Promise<Readable> {
    try {
      const found = await this.#client.send(new GetObjectCommand({ ...this.#at(key), ChecksumMode: 'ENABLED' }))
      return found.Body as Readable
    } catch (error) {
      throw this.#explain(error, key, 'read')
    }
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    try {
      const found = await this.#client.send(new HeadObjectCommand(this.#at(key)))
      return { key, sizeBytes: found.ContentLength ?? 0, modifiedAt: found.LastModified ?? new Date() }
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw this.#explain(error, key, 'read')
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectHead> {
    const under = this.#prefix + checkPrefix(prefix)
    let token: string | undefined
    do {
      const page = await this.#page(under, token)
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        // A server that does not tell an object's age gives it none: it is then never old enough to be collected.
        if (Key) yield { key: Key.slice(this.#prefix.length), sizeBytes: Size ?? 0, modifiedAt: LastModified ?? new Date() }
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined
    } while (token !== undefined)
  }

  async #page(Prefix: string, ContinuationToken: string | undefined) {
    try {
      return await this.#client.send(new ListObjectsV2Command({ Bucket: this.#bucket, Prefix, ContinuationToken }))
    } catch (error) {
      throw this.#explain(error, Prefix, 'listed')
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await this.#client.send(new DeleteObjectCommand(this.#at(key)))
    } catch (error) {
      if (statusOf(error) !== 404) throw this.#explain(error, key, 'deleted')
    }
  }

  async removeUnfinished(before: Date, { dryRun }: { readonly dryRun: boolean }): Promise<Unfinished> {
    let count = 0
    let marker: Pick<ListMultipartUploadsCommandOutput, 'NextKeyMarker' | 'NextUploadIdMarker'> | undefined
    try {
      do {
        const page: ListMultipartUploadsCommandOutput = await this.#client.send(
          new ListMultipartUploadsCommand({
            Bucket: this.#bucket,
            Prefix: this.#prefix,
            KeyMarker: marker?.NextKeyMarker,
            UploadIdMarker: marker?.NextUploadIdMarker,
          }),
        )
        for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
          if (!Key || !UploadId || !Initiated || Initiated >= before) continue
          if (!dryRun) await this.#client.send(new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key, UploadId }))
          count++
        }
        marker = page.IsTruncated ? page : undefined
      } while (marker)
    } catch (error) {
      throw this.#explain(error, this.#prefix, 'listed for unfinished uploads')
    }
    return { count, sizeBytes: 0 }
  }

  presignGet(key: string, ttlSeconds: number): Promise<string> {
    return getSignedUrl(this.#client, new GetObjectCommand(this.#at(key)), { expiresIn: ttlSeconds })
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + checkKey(key) }
  }

  #explain(error: unknown, key: string, what: string): unknown {
    if (statusOf(error) === 404) return new ObjectNotFoundError(key, { cause: error })
    const network = error instanceof Error && 'code' in error && 'syscall' in error
    if (!(error instanceof S3ServiceException) && !network) return error
    return new StoreAccessError(`"${key}" cannot be ${what} in ${this.url}: ${reasonOf(error)}`, { cause: error })
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined
}

function reasonOf(error: unknown): string {
  if (error instanceof S3ServiceException) return `${error.name} (status ${error.$metadata.httpStatusCode})`
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : String(error)
}

async function* chunksOf(bytes: Uint8Array) {
  for (let start = 0; start < bytes.byteLength; start += 2 ** 20) yield bytes.subarray(start, start + 2 ** 20)
}
