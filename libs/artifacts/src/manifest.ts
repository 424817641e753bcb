/**
 * Manifests: what a run (or one checkpoint of it) consists of. Data is written first, the manifest last, both hashed, so what has
 * a manifest is whole; what has none was never finished and is not seen (design section 6).
 */
import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { z } from 'zod'
import { ArtifactMismatchError, type ArtifactRef } from '#libs/training'
import { ObjectNotFoundError } from './errors.ts'
import type { ObjectBody, ObjectStore } from './object-store.ts'

const hex = z.string().regex(/^[0-9a-f]{64}$/)

const contentSchema = z.strictObject({
  runId: hex,
  /** Raised only when results change meaning; artifacts of another number are refused. */
  semantics: z.int(),
  /** `name` is relative to the run: see artifactKey. */
  files: z.array(z.strictObject({ name: z.string().min(1), sha256: hex, sizeBytes: z.int().min(0) })),
  meta: z.record(z.string(), z.string()),
})
export type ManifestContent = z.infer<typeof contentSchema>

/** `sha256` is that of the RFC 8785 form of the content. */
const manifestSchema = contentSchema.extend({ sha256: hex })

/** Who may load an artifact. */
export interface ArtifactOwner {
  readonly runId: string
  readonly semantics: number
}

/** Key of an artifact in the object store. `name` is as in ArtifactRef and in manifests. */
export function artifactKey(runId: string, name: string): string {
  return `runs/${runId}/${name}`
}

function contentHash(content: ManifestContent): string {
  return createHash('sha256')
    .update(canonicalize(content) ?? '')
    .digest('hex')
}

/** Writes a manifest under `name` of its run. Call it after all files that it lists are stored. */
export async function writeManifest(store: ObjectStore, name: string, content: ManifestContent): Promise<ArtifactRef> {
  const checked = contentSchema.parse(content)
  const bytes = Buffer.from(`${JSON.stringify({ ...checked, sha256: contentHash(checked) }, null, 1)}\n`)
  return { name, ...(await store.put(artifactKey(content.runId, name), bytes)) }
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
