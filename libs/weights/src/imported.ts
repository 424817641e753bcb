/** Files that were brought into the lab: stored under the hash of their content, so that a spec names them for good. */
import { createHash } from 'node:crypto'
import { decodeSafetensors, float32Tensors, ObjectNotFoundError, type ObjectStore, untilStored } from '#libs/artifacts'
import type { ImportedSpec } from '#libs/experiments'
import { ArtifactMismatchError, type NamedTensors } from '#libs/training'
import { fromTimm } from './timm-layout.ts'

/** Outside of every run: garbage collection leaves it alone. */
export const importedKey = (sha256: string): string => `weights/${sha256}.safetensors`

/** Sizes that a file in timm's layout tells by itself; the number of heads is not among them. */
export interface TimmSizes {
  readonly dim: number
  readonly depth: number
  readonly patchPx: number
  readonly imagePx: number
}

export interface ImportedFile {
  readonly sha256: string
  readonly sizeBytes: number
  readonly sizes: TimmSizes
}

/**
 * Checks a file and stores it; the same file again changes nothing.
 * @throws ArtifactMismatchError that names what is wrong with the file; nothing is stored then
 */
export async function storeImported(store: Pick<ObjectStore, 'head' | 'put'>, bytes: Uint8Array): Promise<ImportedFile> {
  const sizes = timmSizes(decoded(bytes).tensors)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const key = importedKey(sha256)
  if (!(await store.head(key))) await store.put(key, bytes)
  return { sha256, sizeBytes: bytes.byteLength, sizes }
}

/**
 * The backbone of a stored file, as `online.*`.
 * @throws ArtifactMismatchError where it was never imported, was changed, or is not of this backbone: named by tensor
 */
export async function loadImported(store: ObjectStore, { backbone, weights }: ImportedSpec): Promise<NamedTensors> {
  const bytes = await untilStored(() => store.get(importedKey(weights)), { maxTries: 7 }).catch((error: unknown) => {
    if (!(error instanceof ObjectNotFoundError)) throw error
    throw new ArtifactMismatchError(`no file ${weights} was imported; cxrlab import brings one in`, { cause: error })
  })
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (sha256 !== weights) throw new ArtifactMismatchError(`the imported file ${weights} has SHA-256 ${sha256}`)
  const { tensors, metadata } = decoded(bytes)
  // No tensor tells the number of heads; files that this lab exported do.
  const { num_heads: heads } = metadata
  if (heads !== undefined && Number(heads) !== backbone.heads) {
    throw new ArtifactMismatchError(`${WHAT} states ${heads} heads, the spec ${backbone.heads}`)
  }
  return fromTimm(backbone, tensors)
}

const WHAT = 'the imported file'
function decoded(bytes: Uint8Array): { tensors: NamedTensors; metadata: Readonly<Record<string, string>> } {
  const file = decodeSafetensors(bytes, WHAT)
  return { tensors: float32Tensors(file, WHAT), metadata: file.metadata }
}

/** @throws ArtifactMismatchError where a tensor that tells a size is missing or has no such shape */
export function timmSizes(tensors: NamedTensors): TimmSizes {
  const shapeOf = (name: string, rank: number): readonly number[] => {
    const shape = tensors[name]?.shape
    if (!shape) throw new ArtifactMismatchError(`${WHAT} lacks ${name}: it is not a ViT in timm's layout`)
    if (shape.length !== rank) throw new ArtifactMismatchError(`${WHAT} has ${name} of shape [${shape}], expected ${rank} axes`)
    return shape
  }
  const [dim, , patchPx] = shapeOf('patch_embed.proj.weight', 4) as [number, number, number, number]
  const [, tokens] = shapeOf('pos_embed', 3) as [number, number, number]
  shapeOf('cls_token', 3)
  const grid = Math.sqrt(tokens - 1)
  if (!Number.isInteger(grid))
    throw new ArtifactMismatchError(`${WHAT} has ${tokens} positions, which are no square and a class token`)
  const depth = new Set(Object.keys(tensors).flatMap((name) => /^blocks\.(\d+)\./.exec(name)?.[1] ?? [])).size
  return { dim, depth, patchPx, imagePx: grid * patchPx }
}
