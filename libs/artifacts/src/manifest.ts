/**
 * Manifests: what a run (or one checkpoint of it) consists of. Data is written first, the manifest last, both hashed, so what has
 * a manifest is whole; what has none was never finished and is not seen (design section 6).
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { ArtifactMismatchError, type ArtifactRef } from '#libs/training'
import { artifactKey, contentHash, encodeManifest, type ManifestContent } from './encode-manifest.ts'
import { ObjectNotFoundError } from './errors.ts'
import type { ObjectBody, ObjectStore } from './object-store.ts'
import { verifyObject } from './verify-object.ts'

export { artifactKey, type ManifestContent } from './encode-manifest.ts'

const hex = z.string().regex(/^[0-9a-f]{64}$/)

const contentSchema = z.strictObject({
  runId: hex,
  /** Raised only when results change meaning; artifacts of another number are refused. */
  semantics: z.int(),
  /** `name` is relative to the run: see artifactKey. */
  files: z.array(z.strictObject({ name: z.string().min(1), sha256: hex, sizeBytes: z.int().min(0) })),
  meta: z.record(z.string(), z.string()),
})

/** `sha256` is that of the RFC 8785 form of the content. */
const manifestSchema = contentSchema.extend({ sha256: hex })

/** Who may load an artifact. */
export interface ArtifactOwner {
  readonly runId: string
  readonly semantics: number
}

/** Writes a manifest under `name` of its run. Call it after all files that it lists are stored. */
export async function writeManifest(store: ObjectStore, name: string, content: ManifestContent): Promise<ArtifactRef> {
  const checked = contentSchema.parse(content)
  return { name, ...(await store.put(artifactKey(content.runId, name), encodeManifest(checked))) }
}

/**
 * Reads and checks a manifest; undefined where there is none.
 * @throws ArtifactMismatchError where it is damaged, or belongs to another run or other semantics.
 */
export async function readManifest(store: ObjectStore, name: string, owner: ArtifactOwner): Promise<ManifestContent | undefined> {
  const key = artifactKey(owner.runId, name)
  const bytes = await getIfThere(store, key)
  if (bytes === undefined) return undefined
  const { sha256, ...content } = parseManifest(bytes, key)
  if (sha256 !== contentHash(content)) throw new ArtifactMismatchError(`manifest "${key}" does not have the hash that it states`)
  if (content.runId !== owner.runId) throw new ArtifactMismatchError(`manifest "${key}" belongs to run ${content.runId}`)
  if (content.semantics !== owner.semantics) {
    throw new ArtifactMismatchError(`manifest "${key}" has semantics ${content.semantics}, expected ${owner.semantics}`)
  }
  return content
}

/** Names of the files that the manifest under `key` lists, whoever's it is; undefined where it is damaged. */
export async function listedByManifest(store: ObjectStore, key: string): Promise<readonly string[] | undefined> {
  const bytes = await getIfThere(store, key)
  if (bytes === undefined) return []
  try {
    const { sha256, ...content } = parseManifest(bytes, key)
    return sha256 === contentHash(content) ? content.files.map(({ name }) => name) : undefined
  } catch (error) {
    if (error instanceof ArtifactMismatchError) return undefined
    throw error
  }
}

function parseManifest(bytes: Buffer, key: string) {
  try {
    return manifestSchema.parse(JSON.parse(bytes.toString('utf8')))
  } catch (error) {
    throw new ArtifactMismatchError(`manifest "${key}" is damaged`, { cause: error })
  }
}

async function getIfThere(store: ObjectStore, key: string): Promise<Buffer | undefined> {
  try {
    return await store.get(key)
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return undefined
    throw error
  }
}

/** Stores one file of a run. */
export async function putArtifact(store: ObjectStore, runId: string, name: string, body: ObjectBody): Promise<ArtifactRef> {
  return { name, ...(await store.put(artifactKey(runId, name), body)) }
}

/** The same, and reads it back: for what a run's success rests on. @throws StoreAccessError where it is not there as it was given */
export async function putVerifiedArtifact(
  store: ObjectStore,
  runId: string,
  name: string,
  bytes: Uint8Array,
): Promise<ArtifactRef> {
  const artifact = await putArtifact(store, runId, name, bytes)
  await verifyObject(store, artifactKey(runId, name), artifact)
  return artifact
}

/**
 * Reads a file of a run and compares size and hash with what the manifest says.
 * @throws ArtifactMismatchError that names the file and what differs.
 */
export async function getArtifact(store: ObjectStore, runId: string, expected: ArtifactRef): Promise<Buffer> {
  const key = artifactKey(runId, expected.name)
  const bytes = await getIfThere(store, key)
  if (bytes === undefined) throw new ArtifactMismatchError(`"${key}" is missing though a manifest lists it`)
  if (bytes.byteLength !== expected.sizeBytes) {
    throw new ArtifactMismatchError(`"${key}" has ${bytes.byteLength} bytes, its manifest says ${expected.sizeBytes}`)
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (sha256 !== expected.sha256)
    throw new ArtifactMismatchError(`"${key}" has SHA-256 ${sha256}, its manifest says ${expected.sha256}`)
  return bytes
}

/** The listed file of that name. @throws ArtifactMismatchError where the manifest has none. */
export function fileNamed(content: ManifestContent, name: string): ArtifactRef {
  const found = content.files.find((file) => file.name === name)
  if (!found) throw new ArtifactMismatchError(`the manifest of run ${content.runId} lists no "${name}"`)
  return found
}
