/** Class-token features of a frozen backbone, batch by batch on one compiled shape. */

import type { Executor, Session } from '#libs/engine'
import type { BackboneSpec, EvaluationSpec, NormalisationSpec } from '#libs/experiments'
import { featuresStep, patchesOfGrey, type StateArrays } from '#libs/msn'
import { letEventsIn } from './control.ts'
import type { EvaluationSplit } from './ports.ts'

export interface FeatureExtractor {
  /** [indices.length, dim]; `epoch` null: without augmentation. */
  features(split: EvaluationSplit, indices: Int32Array, epoch: number | null): Promise<Float32Array>
  /** Puts other backbone weights in (fine-tuning). */
  use(weights: Readonly<StateArrays>): void
  dispose(): Promise<void>
}

export interface FeatureExtractorOptions {
  readonly executor: Executor
  readonly backbone: BackboneSpec
  readonly normalisation: NormalisationSpec
  readonly batch: number
  /** `backbone.*` */
  readonly weights: Readonly<StateArrays>
}

export async function createFeatureExtractor(options: FeatureExtractorOptions): Promise<FeatureExtractor> {
  const { executor, backbone, normalisation, batch, weights } = options
  const session: Session = await executor.load(featuresStep(backbone, batch), weights)
  const patchSize = (backbone.imagePx / backbone.patchPx) ** 2 * 3 * backbone.patchPx ** 2

  async function batchOf(split: EvaluationSplit, indices: Int32Array, epoch: number | null): Promise<Float32Array> {
    const patches = patchesOfGrey(await split.views(indices, epoch), backbone.patchPx, normalisation, null)
    // A short batch is filled with zero images, whose features are cut off again.
    const full = indices.length === batch ? patches : withRows(patches, batch * patchSize)
    const { features } = await session.run({ patches: full }, {})
    if (!features) throw new Error('the features step gives no features')
    return features.subarray(0, indices.length * backbone.dim)
  }

  return {
    async features(split, indices, epoch) {
      const all = new Float32Array(indices.length * backbone.dim)
      for (let from = 0; from < indices.length; from += batch) {
        all.set(await batchOf(split, indices.subarray(from, from + batch), epoch), from * backbone.dim)
        await letEventsIn()
      }
      return all
    },
    use: (other) => session.writeState(other),
    dispose: () => session.dispose(),
  }
}

function withRows(data: Float32Array, length: number): Float32Array {
  const padded = new Float32Array(length)
  padded.set(data)
  return padded
}

/** Images a pass: memory is bounded by the micro-batch where there is one. */
export const passSize = ({ batch, microBatch }: Pick<EvaluationSpec, 'batch' | 'microBatch'>): number =>
  Math.min(batch, microBatch ?? batch)

export const allOf = (split: EvaluationSplit): Int32Array => Int32Array.from({ length: split.images }, (_, i) => i)
