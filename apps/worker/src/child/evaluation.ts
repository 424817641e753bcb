/** Evaluations: those that train a classifier, and the test of a trained one on another data set. */
import { encodeSafetensors, putVerifiedArtifact, untilStored } from '#libs/artifacts'
import { dataSources } from '#libs/datasets'
import type { EvaluateSpec, TransferSpec } from '#libs/experiments'
import { type ArtifactRef, type EvaluationSplit, evaluate, type TestedOutcome, transfer } from '#libs/training'
import type { Done } from './attempt-process.ts'
import { patience } from './checkpoints.ts'
import { saveClassifier, trainedClassifier } from './classifier-artifact.ts'
import { executorOf } from './executor-of.ts'
import type { Job } from './job.ts'
import { openUpstreamPack, pretrainedBackbone } from './upstream.ts'

export async function evaluateRun(job: Job, spec: EvaluateSpec): Promise<Done> {
  const { assignment, store, link, control } = job
  const { backbone, weights } = await pretrainedBackbone(store, assignment, spec.network)
  const pack = await openUpstreamPack(job)
  try {
    const source = await dataSources.evaluation(pack, spec, backbone.imagePx)
    const outcome = await evaluate({ spec, backbone, weights, executor: executorOf(job, spec), source, metrics: link, control })
    const artifacts = [await savePredictions(job, source.test, outcome), ...(await saveClassifier(job, outcome))]
    return { artifacts, results: [...outcome.results], summary: { ...outcome.summary } }
  } finally {
    await pack.close()
  }
}

export async function transferRun(job: Job, spec: TransferSpec): Promise<Done> {
  const { backbone, weights, head } = await trainedClassifier(job)
  const pack = await openUpstreamPack(job)
  try {
    const test = await dataSources.transfer(pack, spec, backbone.imagePx)
    const { control } = job
    const outcome = await transfer({ spec, backbone, weights, head, executor: executorOf(job, spec), test, control })
    const artifacts = [await savePredictions(job, test, outcome)]
    return { artifacts, results: [...outcome.results], summary: { ...outcome.summary } }
  } finally {
    await pack.close()
  }
}

/** Scores, labels and patients of the test split, an entry an image: comparisons of models need nothing else. */
async function savePredictions(job: Job, test: EvaluationSplit, { scores, labels }: TestedOutcome): Promise<ArtifactRef> {
  const { store, assignment, link, log } = job
  const bytes = encodeSafetensors(
    {
      scores: { shape: [test.images, labels.length], data: scores },
      labels: { shape: [test.images, labels.length], data: test.labels },
      patients: { shape: [test.images], data: test.patients },
    },
    { labels: JSON.stringify(labels), samples: JSON.stringify(test.sampleKeys) },
  )
  const put = () => putVerifiedArtifact(store, assignment.runId, 'predictions.safetensors', bytes)
  return untilStored(put, patience(link, log))
}
