/** Ports of the training loops. They belong to the loops; datasets, artifacts and run-store implement them. */
import type { EvaluateSpec, Split, TrainedPretrainSpec, TransferSpec } from '#libs/experiments'

export type StateArrays = Record<string, Float32Array>

/** A named tensor on its way to or from an artifact. */
export interface NamedTensor {
  readonly shape: readonly number[]
  readonly data: Float32Array
}
export type NamedTensors = Record<string, NamedTensor>

/** Columns of a pack, one entry an image, codes as in EHR_CATEGORIES; 255 (or NaN for age) where missing. */
export interface PackColumns {
  /** Dense patient codes within this pack; never the data set's own ids. */
  readonly patient: Int32Array
  /** Index into SPLITS. */
  readonly split: Uint8Array
  readonly sex: Uint8Array
  /** Years. */
  readonly age: Float32Array
  readonly view: Uint8Array
  readonly position: Uint8Array
  readonly mortality: Uint8Array
  readonly icu: Uint8Array
  /** [images, labelNames.length] row-major; 255: ignored. */
  readonly labels: Uint8Array
}

/** A data set decoded once: square uint8 grey images with their index. */
export interface Pack {
  readonly count: number
  readonly sidePx: number
  readonly labelNames: readonly string[]
  readonly columns: PackColumns
  /** Stable, anonymous id of an image: the key of all its random draws. */
  sampleKey(index: number): string
  /** [sidePx * sidePx] grey levels. */
  image(index: number): Promise<Uint8Array>
  close(): Promise<void>
}

/** Views of one size, grey levels 0..255 before normalisation, [rows, sidePx, sidePx]. */
export interface GreyViews {
  readonly sidePx: number
  readonly rows: number
  readonly data: Float32Array
}

/** One batch of B images as the augmentation gives it. */
export interface ViewBatch {
  /** [B] */
  readonly sampleKeys: readonly string[]
  /** By group of the spec's view plan; rows: view 0 of all B images, then view 1, ... */
  readonly views: Readonly<Record<string, GreyViews>>
  /** [B, ehr width], null where no EHR takes part. */
  readonly ehr: Float32Array | null
}

export interface PretrainDataSource {
  readonly images: number
  readonly batch: number
  /** The last, partial batch of an epoch is left out: BatchNorm and Sinkhorn see whole batches only (docs/adr). */
  readonly stepsPerEpoch: number
  /** Pure in (epoch, step): asked twice, it gives the same views. */
  views(epoch: number, step: number): Promise<ViewBatch>
}

/** Images and labels of one split for an evaluation. */
export interface EvaluationSplit {
  readonly split: Split
  readonly images: number
  readonly labelNames: readonly string[]
  /** [images, labels]; 255 ignored. */
  readonly labels: Uint8Array
  /** [images] dense patient codes. */
  readonly patients: Int32Array
  readonly sampleKeys: readonly string[]
  /** `epoch` null: without augmentation. Grey levels 0..255, [indices.length, imagePx, imagePx]. */
  views(indices: Int32Array, epoch: number | null): Promise<GreyViews>
}

export interface EvaluationDataSource {
  /** Training split already reduced to the spec's label fraction. */
  readonly train: EvaluationSplit
  readonly validation: EvaluationSplit
  readonly test: EvaluationSplit
}

export interface DataSourceFactory {
  pretrain(pack: Pack, spec: TrainedPretrainSpec): Promise<PretrainDataSource>
  evaluation(pack: Pack, spec: EvaluateSpec, imagePx: number): Promise<EvaluationDataSource>
  /** The test split alone. */
  transfer(pack: Pack, spec: TransferSpec, imagePx: number): Promise<EvaluationSplit>
}

export interface ArtifactRef {
  /** Name within the run: `checkpoint/00000120`, `predictions`, `pack/index`, ... */
  readonly name: string
  readonly sha256: string
  readonly sizeBytes: number
}

/** Metadata strings stored in a checkpoint's manifest and checked on load. */
export type CheckpointMeta = Record<string, string>

export interface StoredCheckpoint {
  readonly step: number
  readonly meta: CheckpointMeta
  readonly tensors: NamedTensors
}

export const CHECKPOINT_ROLES = ['periodic', 'best', 'final'] as const
export type CheckpointRole = (typeof CHECKPOINT_ROLES)[number]

/** Checkpoints of one run. Data first, manifest last; a half-written one is never seen. */
export interface CheckpointStore {
  /**
   * Resolves once the checkpoint is committed. Takes the tensors over: their arrays may be gone afterwards. One at a time.
   */
  save(checkpoint: StoredCheckpoint, role: CheckpointRole): Promise<ArtifactRef>
  /** The newest complete periodic checkpoint, or undefined. */
  latest(): Promise<StoredCheckpoint | undefined>
  /** By role; throws where the run has none. */
  load(role: 'best' | 'final'): Promise<StoredCheckpoint>
}

export interface MetricPoint {
  readonly step: number
  readonly name: string
  readonly value: number
}

/** Takes points without waiting; the implementation batches. */
export interface MetricSink {
  record(points: readonly MetricPoint[]): void
  progress(done: number, total: number, unit: 'images' | 'steps' | 'epochs'): void
}

/** One line of an evaluation: `label` is a label's name or `macro`. */
export interface ResultRow {
  readonly label: string
  readonly metric: 'auroc' | 'auprc'
  readonly value: number
  readonly low: number | null
  readonly high: number | null
}
