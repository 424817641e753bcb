/** The bytes of a manifest. Apart from the checks of manifest.ts, because the thread that writes checkpoints needs no more. */
import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { StoredObject } from './object-store.ts'

export interface ManifestContent {
  readonly runId: string
  /** Raised only when results change meaning; artifacts of another number are refused. */
  readonly semantics: number
  /** `name` is relative to the run: see artifactKey. */
  readonly files: readonly (StoredObject & { readonly name: string })[]
  readonly meta: Readonly<Record<string, string>>
}

/** SHA-256 of the RFC 8785 form, which every manifest states about itself. */
export function contentHash(content: ManifestContent): string {
  return createHash('sha256')
    .update(canonicalize(content) ?? '')
    .digest('hex')
}

export function encodeManifest(content: ManifestContent): Buffer {
  return Buffer.from(`${JSON.stringify({ ...content, sha256: contentHash(content) }, null, 1)}\n`)
}

/** Key of an artifact in the object store. `name` is as in ArtifactRef and in manifests. */
export function artifactKey(runId: string, name: string): string {
  return `runs/${runId}/${name}`
}
