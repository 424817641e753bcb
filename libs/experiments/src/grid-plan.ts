/** The result of expanding a grid request: experiments, and the distinct runs that they share. */
import type { RunSpec } from './spec.ts'
import type { DatasetKind, EvaluationMode, LabelSet, Method, RunKind } from './vocabulary.ts'

/** SHA-256 (hex) of the RFC 8785 form of {spec, fingerprint, upstream, semantics}. */
export type RunId = string

export interface RunDraft {
  readonly id: RunId
  readonly kind: RunKind
  readonly spec: RunSpec
  /**
   * Runs that must have succeeded before: [] or [prepare] for a pretraining, [pretrain, prepare] for an evaluation,
   * [evaluate, pretrain, prepare] for a transfer.
   */
  readonly upstream: readonly RunId[]
  /** Null where the run reads no data set (random initialisation). */
  readonly dataset: { readonly name: string; readonly fingerprint: string } | null
  readonly semantics: number
}

/** One row of the results table: what a reader of the table wants to know about it. */
export interface ExperimentPoint {
  readonly index: number
  readonly method: Method
  readonly backbone: string
  /** Canonical name of the EHR set: `vanilla`, `sex`, `demographics+view`, ... */
  readonly ehr: string
  readonly ageEncoding: string | null
  readonly seed: number
  /** `none` (NO_PRETRAIN_DATASET) for random initialisation. */
  readonly pretrainDataset: string
  readonly dataset: string
  readonly mode: EvaluationMode
  /** Of a transfer, what its classifier was trained as (`finetune on mimic`); null for all other modes. */
  readonly trainedOn: string | null
  readonly labels: LabelSet
  readonly labelFraction: number
  /** The evaluation's run id; its upstream names pretraining and pack. */
  readonly evaluate: RunId
  readonly pretrain: RunId
}

export interface GridPlan {
  readonly points: readonly ExperimentPoint[]
  /** Each distinct run once, upstream before downstream. */
  readonly runs: readonly RunDraft[]
  /** Each a stable word, a colon and a sentence (`prototypes-exceed-batch: ...`). */
  readonly warnings: readonly string[]
}

/** What the expansion must know of each registered data set. */
export interface DatasetFacts {
  readonly name: string
  readonly kind: DatasetKind
  readonly fingerprint: string
}
