/** One evaluation: train a classifier on a pretrained backbone, pick the best validation epoch, test it with intervals. */

import type { Executor } from '#libs/engine'
import { bootstrapMetrics, multiLabelMetrics } from '#libs/evaluation'
import type { BackboneSpec, EvaluateSpec } from '#libs/experiments'
import type { StateArrays } from '#libs/msn'
import type { Classifier } from './classifier.ts'
import { type LoopControl, letEventsIn } from './control.ts'
import { drawsOf, permutation } from './draws.ts'
import { NonFiniteError, SpecError, StoppedError } from './errors.ts'
import { afterEpoch, startOf, stopsEarly } from './evaluation-schedule.ts'
import { createFeatureExtractor } from './feature-extractor.ts'
import { createFinetuneClassifier } from './finetune-classifier.ts'
import { createLinearClassifier } from './linear-classifier.ts'
import type { EvaluationDataSource, EvaluationSplit, MetricSink, ResultRow } from './ports.ts'

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

export interface EvaluateOutcome {
  readonly results: readonly ResultRow[]
  /** Of the test split, in its order. */
  readonly scores: Float32Array
  readonly labels: readonly string[]
  readonly summary: Readonly<Record<string, number | string>>
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
    batch: spec.batch,
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
      const report = bootstrapMetrics(
        labelled(source.test, scores),
        spec.bootstrap,
        drawsOf({ seed: spec.seed, purpose: 'bootstrap' }),
      )
      return {
        results: report.rows,
        scores,
        labels: source.test.labelNames,
        summary: {
          ...trained,
          seconds: (loop.control.now() - startMs) / 1000,
          trainImages: source.train.images,
          validationImages: source.validation.images,
          testImages: source.test.images,
          leftOutLabels: report.leftOut.join(', '),
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
  for (const split of [train, validation, test]) {
    if (split.images === 0) throw new SpecError(`the ${split.split} split has no image`, { field: 'dataset' })
  }
  const labels = test.labelNames.length
  const bothClasses = test.labelNames.some((_, label) => {
    const values = new Set(Array.from({ length: test.images }, (_, image) => test.labels[image * labels + label]))
    return values.has(0) && values.has(1)
  })
  if (!bothClasses) throw new SpecError('no label has both a positive and a negative in the test split', { field: 'labels' })
}

const labelled = (split: EvaluationSplit, scores: Float32Array) => ({
  labelNames: split.labelNames,
  labels: split.labels,
  scores,
  patients: split.patients,
})

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
