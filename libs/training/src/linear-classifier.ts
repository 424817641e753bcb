/**
 * Linear evaluation: a head on a frozen backbone. `cached` computes the features of un-augmented training images once
 * (mode linear-cached); otherwise each epoch extracts the features of newly augmented images (mode linear).
 */

import type { Executor, Session } from '#libs/engine'
import type { EvaluateSpec } from '#libs/experiments'
import { classifierScalars, linearHeadInitialState, linearHeadStep, type StateArrays } from '#libs/msn'
import type { Classifier } from './classifier.ts'
import { drawsOf } from './draws.ts'
import { allOf, type FeatureExtractor } from './feature-extractor.ts'
import { labelBatch } from './label-batches.ts'
import { linearScores } from './linear-scores.ts'
import type { EvaluationSplit } from './ports.ts'

export const HEAD_WEIGHTS = ['head.weight', 'head.bias'] as const

export interface LinearClassifierOptions {
  readonly spec: EvaluateSpec
  readonly executor: Executor
  readonly extractor: FeatureExtractor
  readonly train: EvaluationSplit
  readonly dim: number
  readonly cached: boolean
}

export async function createLinearClassifier(options: LinearClassifierOptions): Promise<Classifier> {
  const { spec, executor, train, dim } = options
  const { batch, optimiser } = spec
  const labels = train.labelNames.length
  const step = linearHeadStep({ dim, labels, batch, betas: optimiser.betas, eps: optimiser.eps })
  const draws = (name: string) => drawsOf({ seed: spec.seed, purpose: 'head-init', sample: name })
  const session = await executor.load(step, linearHeadInitialState(dim, labels, draws))
  return new LinearClassifier(options, session)
}

class LinearClassifier implements Classifier {
  readonly #options: LinearClassifierOptions
  readonly #session: Session
  /** Features of un-augmented images by split: the backbone is frozen, so they never change. */
  readonly #cache = new Map<EvaluationSplit, Float32Array>()
  #updates = 0

  constructor(options: LinearClassifierOptions, session: Session) {
    this.#options = options
    this.#session = session
  }

  async trainEpoch(epoch: number, order: Int32Array, learningRate: number): Promise<number> {
    const { spec, train, dim, cached, extractor } = this.#options
    const features = cached ? await this.#plainFeatures(train) : await extractor.features(train, allOf(train), epoch)
    let lossSum = 0
    let batches = 0
    for (let from = 0; from < order.length; from += spec.batch) {
      const indices = order.subarray(from, from + spec.batch)
      const rows = new Float32Array(spec.batch * dim)
      indices.forEach((image, row) => {
        rows.set(features.subarray(image * dim, (image + 1) * dim), row * dim)
      })
      const { weightDecay, betas } = spec.optimiser
      const scalars = classifierScalars({ lr: learningRate, weightDecay, betas, step: this.#updates++ })
      const { loss } = await this.#session.run({ features: rows, ...labelBatch(train, indices, spec.batch) }, scalars)
      lossSum += loss![0]!
      batches++
    }
    return lossSum / batches
  }

  async scores(split: EvaluationSplit): Promise<Float32Array> {
    const features = await this.#plainFeatures(split)
    const { 'head.weight': weight, 'head.bias': bias } = this.weights()
    return linearScores(features, weight!, bias!)
  }

  weights(): StateArrays {
    return this.#session.readState(HEAD_WEIGHTS)
  }

  restore(weights: StateArrays): void {
    this.#session.writeState(weights)
  }

  async dispose(): Promise<void> {
    await this.#session.dispose()
  }

  async #plainFeatures(split: EvaluationSplit): Promise<Float32Array> {
    const known = this.#cache.get(split)
    if (known) return known
    const features = await this.#options.extractor.features(split, allOf(split), null)
    this.#cache.set(split, features)
    return features
  }
}
