/** The work of a prepare run: a registered data set becomes a pack. */
import { type ArtifactOwner, artifactKey, type ObjectStore, putArtifact, readManifest, writeManifest } from '#libs/artifacts'
import type { PrepareSpec } from '#libs/experiments'
import { type ArtifactRef, SpecError, StoppedError } from '#libs/training'
import { fingerprintOf } from '../fingerprint.ts'
import { type FitOn, type FittedImputation, fitImputation } from '../imputation/pack-imputation.ts'
import { readTable } from '../read-dataset.ts'
import { readerOf } from '../readers.ts'
import type { DatasetTable } from '../record.ts'
import { type DatasetAccess, type DatasetAddress, type DatasetSource, withSource } from '../source.ts'
import { checkPack } from './check-pack.ts'
import { DIGEST_BYTES, ImageDigests } from './image-digest.ts'
import { buildIndex, encodeIndex, keyAt, type PackIndex } from './pack-index.ts'
import { packSummary } from './pack-summary.ts'
import { IMPUTATION_NAME, INDEX_NAME, MANIFEST_NAME, receiptName, SHARD_IMAGES } from './shard-layout.ts'
import { type WrittenShard, writeShard } from './write-shard.ts'

/** Broken images that the summary names. */
const BROKEN_NAMED = 3

export interface PrepareRequest extends ArtifactOwner {
  readonly store: ObjectStore
  readonly dataset: DatasetAddress & { readonly name: string; readonly fingerprint: string }
  /** Opens s3:// addresses of the data set. */
  readonly access?: DatasetAccess
  readonly spec: PrepareSpec
  /** Images. */
  onProgress(done: number, total: number): void
  stopRequested(): boolean
}

export interface PreparedPack {
  readonly artifacts: ArtifactRef[]
  readonly summary: Record<string, number | string>
}

/**
 * Decodes a data set into shards, an index and, last, a manifest. Asked again after it was stopped or killed, it keeps the shards
 * that are whole.
 * @throws SpecError where the files changed since registration or are wrong; StoppedError where a stop is asked for; whole shards stay.
 */
export async function preparePack(request: PrepareRequest): Promise<PreparedPack> {
  const { dataset, spec } = request
  const reader = readerOf(dataset.kind)
  return withSource(dataset, request.access ?? {}, async (source) => {
    const inventory = await reader.inventory(source)
    if ((await fingerprintOf(dataset.kind, source.options, inventory)) !== dataset.fingerprint) {
      throw new SpecError(`the files of data set "${dataset.name}" changed since it was registered; register it again`)
    }
    const finished = await finishedPack(request)
    if (finished) return finished
    const table = await readTable(reader, source, inventory, spec)
    const shards = await writeShards(request, source, table)
    return commitPack(request, table, shards)
  })
}

/** The pack of an attempt that ended after its manifest was written. */
async function finishedPack({ store, runId, semantics }: PrepareRequest): Promise<PreparedPack | undefined> {
  const manifest = await readManifest(store, MANIFEST_NAME, { runId, semantics })
  if (!manifest) return undefined
  const ref = await writeManifest(store, MANIFEST_NAME, manifest)
  return { artifacts: [...manifest.files, ref], summary: JSON.parse(manifest.meta.summary ?? '{}') }
}

async function writeShards(request: PrepareRequest, { root }: DatasetSource, { records }: DatasetTable): Promise<WrittenShard[]> {
  const { store, runId, spec } = request
  const written: WrittenShard[] = []
  for (let start = 0; start < records.length; start += SHARD_IMAGES) {
    if (request.stopRequested()) throw new StoppedError(`stopped after ${start} of ${records.length} images`)
    let done = start
    const onImage = () => request.onProgress(++done, records.length)
    const some = records.slice(start, start + SHARD_IMAGES)
    written.push(
      await writeShard({
        store,
        runId,
        files: root,
        spec,
        shard: written.length,
        records: some,
        onImage,
        stopRequested: request.stopRequested,
      }),
    )
    request.onProgress(start + some.length, records.length)
  }
  return written
}

async function commitPack(request: PrepareRequest, table: DatasetTable, shards: readonly WrittenShard[]): Promise<PreparedPack> {
  const { store, runId, semantics, dataset, spec } = request
  const broken = new Set(shards.flatMap((one, shard) => one.broken.map((place) => shard * SHARD_IMAGES + place)))
  const slots = Int32Array.from(table.records.keys()).filter((slot) => !broken.has(slot))
  if (slots.length === 0) throw new SpecError('no image of the data set can be decoded')
  const kept = [...slots].map((slot) => table.records[slot]!)
  const identity = { dataset: dataset.name, fingerprint: dataset.fingerprint }
  const digests = new ImageDigests(rowsOf(Buffer.concat(shards.map((one) => one.digests)), slots))
  const index = buildIndex(kept, { slots, digests }, { sidePx: spec.sidePx, labelNames: table.labelNames }, identity)
  checkPack(index)
  const imputation = imputationOf(index)
  const summary = {
    ...packSummary(index, table.notes, broken.size),
    'images that the imputer was fitted on': imputation.train.rows,
  }
  const files = [
    ...shards.map((one) => one.artifact),
    await putArtifact(store, runId, INDEX_NAME, encodeIndex(index)),
    await putArtifact(store, runId, IMPUTATION_NAME, Buffer.from(JSON.stringify(imputation))),
  ]
  const meta = { dataset: dataset.name, kind: dataset.kind, fingerprint: dataset.fingerprint, summary: JSON.stringify(summary) }
  const manifest = await writeManifest(store, MANIFEST_NAME, { runId, semantics, files, meta })
  for (const shard of shards.keys()) await store.delete(artifactKey(runId, receiptName(shard)))
  return { artifacts: [...files, manifest], summary: { ...summary, ...brokenFiles(table, broken) } }
}

/** Paths of the first images that were skipped: for the run's summary alone, since a pack tells no name of the data set's files. */
function brokenFiles({ records }: DatasetTable, broken: ReadonlySet<number>): Record<string, string> {
  const files = [...broken].slice(0, BROKEN_NAMED).map((slot) => records[slot]!.file)
  return files.length > 0 ? { 'broken images, the first': files.join(', ') } : {}
}

function imputationOf({ columns, keys }: PackIndex): Record<FitOn, FittedImputation> {
  const fitted = (fitOn: FitOn) => fitImputation(columns, (row) => keyAt(keys, row), fitOn)
  return { train: fitted('train'), all: fitted('all') }
}

/** The digests of the slots that are kept, [slots.length, 16]. */
function rowsOf(digests: Uint8Array, slots: Int32Array): Uint8Array {
  const rows = new Uint8Array(slots.length * DIGEST_BYTES)
  slots.forEach((slot, row) => {
    rows.set(digests.subarray(slot * DIGEST_BYTES, (slot + 1) * DIGEST_BYTES), row * DIGEST_BYTES)
  })
  return rows
}
