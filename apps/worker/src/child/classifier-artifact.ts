/** What an evaluation trained, stored for transfers: the head, and the backbone where it was trained too. */

import { z } from 'zod'
import {
  decodeSafetensors,
  encodeSafetensors,
  fileNamed,
  getArtifact,
  putVerifiedArtifact,
  readManifest,
  untilStored,
  writeManifest,
} from '#libs/artifacts'
import type { BackboneSpec } from '#libs/experiments'
import { backboneParameters, type StateArrays } from '#libs/msn'
import { ArtifactMismatchError, type ArtifactRef, type EvaluateOutcome, SpecError, type TrainedHead } from '#libs/training'
import { patience } from './checkpoints.ts'
import type { Job } from './job.ts'
import { pretrainedBackbone, upstreamRun } from './upstream.ts'

const DATA = 'classifier.safetensors'
/** Written last: a classifier without it is not there. */
const MANIFEST = 'classifier.json'

const labelNames = z.array(z.string()).min(1)

export async function saveClassifier(job: Job, { classifier, labels }: EvaluateOutcome): Promise<ArtifactRef[]> {
  const { store, assignment, link, log } = job
  const { runId, semantics } = assignment
  const bytes = encodeSafetensors(classifier, {})
  const retry = patience(link, log)
  const data = await untilStored(() => putVerifiedArtifact(store, runId, DATA, bytes), retry)
  const content = { runId, semantics, files: [data], meta: { labels: JSON.stringify(labels) } }
  return [data, await untilStored(() => writeManifest(store, MANIFEST, content), retry)]
}

export interface TrainedClassifier {
  readonly backbone: BackboneSpec
  /** `backbone.*` */
  readonly weights: StateArrays
  readonly head: TrainedHead
}

/**
 * The classifier of the evaluation that this run hangs on, with the backbone that it was trained on or with.
 * @throws ArtifactMismatchError where it is missing, damaged or not of that backbone
 */
export async function trainedClassifier({ store, assignment }: Job): Promise<TrainedClassifier> {
  const { runId, evaluate } = upstreamRun(assignment, 'evaluate')
  if (evaluate?.mode === undefined || evaluate.mode === 'transfer')
    throw new SpecError('a transfer needs an evaluation that trains before it', { field: 'upstream' })
  const manifest = await readManifest(store, MANIFEST, { runId, semantics: assignment.semantics })
  if (!manifest) throw new ArtifactMismatchError(`evaluation ${runId.slice(0, 12)} left no classifier`)
  const bytes = await getArtifact(store, runId, fileNamed(manifest, DATA))
  const { tensors } = decodeSafetensors(bytes, DATA)
  const array = (name: string, size?: number): Float32Array => {
    const data = tensors[name]?.data
    if (data instanceof Float32Array && (size === undefined || data.length === size)) return data
    throw new ArtifactMismatchError(`the classifier of evaluation ${runId.slice(0, 12)} has no fitting ${name}`)
  }
  const pretrained = await pretrainedBackbone(store, assignment, evaluate.network)
  const head = { labels: labelsOf(manifest.meta.labels), weight: array('head.weight'), bias: array('head.bias') }
  if (evaluate.mode !== 'finetune') return { ...pretrained, head }
  const weights = backboneParameters(pretrained.backbone).map(({ name, shape }) => {
    const full = `backbone.${name}`
    return [
      full,
      array(
        full,
        shape.reduce((product, side) => product * side, 1),
      ),
    ] as const
  })
  return { backbone: pretrained.backbone, weights: Object.fromEntries(weights), head }
}

function labelsOf(text: string | undefined): string[] {
  try {
    return labelNames.parse(JSON.parse(text ?? ''))
  } catch (error) {
    throw new ArtifactMismatchError('the manifest of a classifier names no labels', { cause: error })
  }
}
