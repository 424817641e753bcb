/** Identity of a run: the same work has the same id, wherever and whenever it was asked for. */
import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { RunId } from './grid-plan.ts'
import type { RunSpec } from './spec.ts'

/** Raised only when the same spec begins to mean another result; every run is then new. */
export const SEMANTICS = 1

export interface RunIdentity {
  readonly spec: RunSpec
  /** Content hash of the data set that the run reads; null where it reads none. */
  readonly fingerprint: string | null
  /** Ids of the runs whose artifacts are read, in any order. */
  readonly upstream: readonly RunId[]
  readonly semantics: number
}

/**
 * SHA-256 (64 hex digits) of the canonical JSON (RFC 8785) of the identity: neither key order nor the order of `upstream`
 * changes it, any other difference does.
 */
export function runIdOf({ spec, fingerprint, upstream, semantics }: RunIdentity): RunId {
  const text = canonicalize({ spec, fingerprint, upstream: [...upstream].sort(), semantics })
  return createHash('sha256')
    .update(text as string)
    .digest('hex')
}

/** First 12 hex digits, for people; unique among any number of runs that a lab will ever make. */
export const shortId = (id: RunId): string => id.slice(0, 12)
