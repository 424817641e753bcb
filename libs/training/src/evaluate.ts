/** One evaluation: train a classifier on a pretrained backbone, pick the best validation epoch, test it with intervals. */

import type { Executor } from '#libs/engine'
import { multiLabelMetrics } from '#libs/evaluation'
import type { BackboneSpec, EvaluateSpec } from '#libs/experiments'
import { classifierShapes, type StateArrays } from '#libs/msn'
import type { Classifier } from './classifier.ts'
import { checkMeasurable, labelled, reportOf } from './classifier-report.ts'
import { type LoopControl, letEventsIn } from './control.ts'
import { drawsOf, permutation } from './draws.ts'
import { NonFiniteError, SpecError, StoppedError } from './errors.ts'
import { afterEpoch, startOf, stopsEarly } from './evaluation-schedule.ts'
import { createFeatureExtractor, passSize } from './feature-extractor.ts'
import { createFinetuneClassifier } from './finetune-classifier.ts'
import { createLinearClassifier } from './linear-classifier.ts'
import type { EvaluationDataSource, MetricSink, NamedTensors, ResultRow } from './ports.ts'
import { withShapes } from './tensors.ts'

export interface EvaluateLoop {
  readonly spec: EvaluateSpec
  readonly backbone: BackboneSpec
  /** Pretrained `backbone.*`. */
  readonly weights: Readonly<StateArrays>
  readonly executor: Executor
  readonly source: EvaluationDataSource
  readonly metrics: MetricSink
  readonly control: LoopControl
}

/** Of any evaluation. */
export interface TestedOutcome {
  readonly results: readonly ResultRow[]
  /** Of the test split, in its order. */
  readonly scores: Float32Array
  readonly labels: readonly string[]
  readonly summary: Readonly<Record<string, number | string>>
}

export interface EvaluateOutcome extends TestedOutcome {
  /** What was trained, of the best epoch: `head.weight` [labels, dim], `head.bias` [labels] and, fine-tuned, `backbone.*`. */
  readonly classifier: NamedTensors
}

/**
 * @throws SpecError where no label has both classes in the test split: there is nothing to measure
 * @throws StoppedError when asked to stop; an evaluation is short and starts again from its checkpoint
 */
export async function evaluate(loop: EvaluateLoop): Promise<EvaluateOutcome> {
  const { spec, backbone, weights, executor, source } = loop
  checkSplits(source)
  const startMs = loop.control.now()
  const extractor = await createFeatureExtractor({
    executor,
    backbone,
    normalisation: spec.normalisation,
    batch: passSize(spec),
    weights,
  })
  try {
    const common = { spec, executor, extractor, train: source.train }
    const classifier =
      spec.mode === 'finetune'
        ? await createFinetuneClassifier({ ...common, backbone, pretrained: weights })
        : await createLinearClassifier({ ...common, dim: backbone.dim, cached: spec.mode === 'linear-cached' })
    try {
      const trained = await train(loop, classifier)
      const scores = await classifier.scores(source.test)
      const { results, leftOutLabels } = reportOf(source.test, scores, spec)
      return {
        results,
        scores,
        labels: source.test.labelNames,
        classifier: withShapes(classifier.weights(), classifierShapes(backbone, source.test.labelNames.length)),
        summary: {
          ...trained,
          seconds: (loop.control.now() - startMs) / 1000,
          trainImages: source.train.images,
          validationImages: source.validation.images,
          testImages: source.test.images,
          leftOutLabels,
        },
      }
    } finally {
      await classifier.dispose()
    }
  } finally {
    await extractor.dispose()
  }
}

function checkSplits({ train, validation, test }: EvaluationDataSource): void {
  for (const split of [train, validation]) {
    if (split.images === 0) throw new SpecError(`the ${split.split} split has no image`, { field: 'dataset' })
  }
  checkMeasurable(test)
}

async function train(loop: EvaluateLoop, classifier: Classifier): Promise<Record<string, number | string>> {
  const { spec, source, metrics, control } = loop
  let progress = startOf(spec)
  let best = classifier.weights()
  let epoch = 0
  for (; epoch < spec.epochs && !stopsEarly(spec, progress); epoch++) {
    const order = permutation(drawsOf({ seed: spec.seed, purpose: 'evaluate-order', epoch }), source.train.images)
    const { learningRate } = progress
    const loss = await classifier.trainEpoch(epoch, order, learningRate)
    if (!Number.isFinite(loss)) throw new NonFiniteError('loss', epoch)
    const { macro } = multiLabelMetrics(labelled(source.validation, await classifier.scores(source.validation)))
    const validationAuroc = macro?.auroc ?? Number.NaN
    progress = afterEpoch(spec, progress, epoch, validationAuroc)
    if (progress.bestEpoch === epoch) best = classifier.weights()
    const values = { loss, learningRate, ...(macro && { validationAuroc, validationAuprc: macro.auprc }) }
    metrics.record(Object.entries(values).map(([name, value]) => ({ step: epoch, name, value })))
    metrics.progress(epoch + 1, spec.epochs, 'epochs')
    await letEventsIn()
    if (control.stopRequested()) throw new StoppedError(`stopped after epoch ${epoch}`)
  }
  classifier.restore(best)
  return { epochs: epoch, bestEpoch: progress.bestEpoch, ...(progress.bestValue > 0 && { validationAuroc: progress.bestValue }) }
}
