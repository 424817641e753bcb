/** The test of a trained classifier on another data set: nothing is trained. */
import type { Executor } from '#libs/engine'
import type { BackboneSpec, TransferSpec } from '#libs/experiments'
import type { StateArrays } from '#libs/msn'
import { checkMeasurable, reportOf } from './classifier-report.ts'
import type { LoopControl } from './control.ts'
import { ArtifactMismatchError, SpecError } from './errors.ts'
import type { TestedOutcome } from './evaluate.ts'
import { allOf, createFeatureExtractor, passSize } from './feature-extractor.ts'
import { linearScores } from './linear-scores.ts'
import type { EvaluationSplit } from './ports.ts'

export interface Transfer {
  readonly spec: TransferSpec
  readonly backbone: BackboneSpec
  /** `backbone.*`: pretrained under a linear head, fine-tuned under a fine-tuned one. */
  readonly weights: Readonly<StateArrays>
  readonly head: TrainedHead
  readonly executor: Executor
  readonly test: EvaluationSplit
  readonly control: LoopControl
}

export interface TrainedHead {
  /** Labels in the order of the head's rows. */
  readonly labels: readonly string[]
  /** [labels, dim] */
  readonly weight: Float32Array
  /** [labels] */
  readonly bias: Float32Array
}

/**
 * @throws SpecError where the data set's labels are not those that the head was trained for, in its order, or measure nothing
 * @throws ArtifactMismatchError where the head does not fit the backbone
 */
export async function transfer(run: Transfer): Promise<TestedOutcome> {
  const { spec, backbone, weights, head, executor, test, control } = run
  if (head.labels.join('\n') !== test.labelNames.join('\n')) {
    throw new SpecError(`data set ${spec.dataset} has other labels than ${spec.trainedOn.dataset}`, { field: 'labels' })
  }
  if (head.bias.length !== head.labels.length || head.weight.length !== head.labels.length * backbone.dim) {
    throw new ArtifactMismatchError(`the trained head does not have ${head.labels.length} rows of ${backbone.dim}`)
  }
  checkMeasurable(test)
  const startMs = control.now()
  const { normalisation } = spec
  const extractor = await createFeatureExtractor({ executor, backbone, normalisation, batch: passSize(spec), weights })
  try {
    const scores = linearScores(await extractor.features(test, allOf(test), null), head.weight, head.bias)
    const { results, leftOutLabels } = reportOf(test, scores, spec)
    const seconds = (control.now() - startMs) / 1000
    return { results, scores, labels: test.labelNames, summary: { seconds, testImages: test.images, leftOutLabels } }
  } finally {
    await extractor.dispose()
  }
}
