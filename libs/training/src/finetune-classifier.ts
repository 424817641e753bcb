/** Fine-tuning: backbone and head trained together on augmented images. */

import type { Executor, Session } from '#libs/engine'
import type { BackboneSpec, EvaluateSpec } from '#libs/experiments'
import { classifierScalars, finetuneInitialState, finetuneStep, patchesOfGrey, type StateArrays } from '#libs/msn'
import type { Classifier } from './classifier.ts'
import { letEventsIn } from './control.ts'
import { drawsOf } from './draws.ts'
import { allOf, type FeatureExtractor } from './feature-extractor.ts'
import { labelBatch } from './label-batches.ts'
import { linearScores } from './linear-scores.ts'
import type { EvaluationSplit } from './ports.ts'

export interface FinetuneClassifierOptions {
  readonly spec: EvaluateSpec
  readonly executor: Executor
  readonly extractor: FeatureExtractor
  readonly train: EvaluationSplit
  readonly backbone: BackboneSpec
  /** Pretrained `backbone.*`. */
  readonly pretrained: Readonly<StateArrays>
}

export async function createFinetuneClassifier(options: FinetuneClassifierOptions): Promise<Classifier> {
  const { spec, executor, train, backbone, pretrained } = options
  const { batch, optimiser } = spec
  const labels = train.labelNames.length
  const draws = (name: string) => drawsOf({ seed: spec.seed, purpose: 'head-init', sample: name })
  const step = finetuneStep(backbone, { labels, batch, betas: optimiser.betas, eps: optimiser.eps, microBatch: spec.microBatch })
  const session = await executor.load(step, finetuneInitialState(backbone, labels, pretrained, draws))
  const names = Object.keys(step.signature.state).filter((name) => !name.startsWith('adam.'))
  return new FinetuneClassifier(options, session, names)
}

class FinetuneClassifier implements Classifier {
  readonly #options: FinetuneClassifierOptions
  readonly #session: Session
  readonly #names: readonly string[]
  #updates = 0

  constructor(options: FinetuneClassifierOptions, session: Session, names: readonly string[]) {
    this.#options = options
    this.#session = session
    this.#names = names
  }

  async trainEpoch(epoch: number, order: Int32Array, learningRate: number): Promise<number> {
    const { spec, train } = this.#options
    let lossSum = 0
    let batches = 0
    for (let from = 0; from < order.length; from += spec.batch) {
      const indices = order.subarray(from, from + spec.batch)
      const { weightDecay, betas } = spec.optimiser
      const scalars = classifierScalars({ lr: learningRate, weightDecay, betas, step: this.#updates++ })
      const { loss } = await this.#session.run(
        { patches: await this.#patches(indices, epoch), ...labelBatch(train, indices, spec.batch) },
        scalars,
      )
      lossSum += loss![0]!
      batches++
      await letEventsIn()
    }
    return lossSum / batches
  }

  async scores(split: EvaluationSplit): Promise<Float32Array> {
    const weights = this.weights()
    this.#options.extractor.use(Object.fromEntries(Object.entries(weights).filter(([name]) => name.startsWith('backbone.'))))
    const features = await this.#options.extractor.features(split, allOf(split), null)
    return linearScores(features, weights['head.weight']!, weights['head.bias']!)
  }

  weights(): StateArrays {
    return this.#session.readState(this.#names)
  }

  restore(weights: StateArrays): void {
    this.#session.writeState(weights)
  }

  async dispose(): Promise<void> {
    await this.#session.dispose()
  }

  /** [batch, patches, 3 * patchPx^2]; rows beyond the indices stay zero and weigh nothing in the loss. */
  async #patches(indices: Int32Array, epoch: number): Promise<Float32Array> {
    const { spec, train, backbone } = this.#options
    const cut = patchesOfGrey(await train.views(indices, epoch), backbone.patchPx, spec.normalisation, null)
    if (indices.length === spec.batch) return cut
    const padded = new Float32Array((cut.length / indices.length) * spec.batch)
    padded.set(cut)
    return padded
  }
}
