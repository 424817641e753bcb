/** The weights that a run stands for, out of the store that its files lie in. */
import {
  createCheckpointStore,
  decodeSafetensors,
  fileNamed,
  float32Tensors,
  getArtifact,
  type ObjectStore,
  readManifest,
} from '#libs/artifacts'
import { type EvaluateSpec, isTrainedPretrain, PRESET_NETWORK, type PretrainSpec, type RunSpec } from '#libs/experiments'
import { ArtifactMismatchError, type NamedTensors, SpecError } from '#libs/training'
import type { WeightsOrigin } from './describe.ts'
import { type Network, timmBackbone } from './timm-layout.ts'

export interface ExportedRun {
  readonly id: string
  readonly semantics: number
  readonly spec: RunSpec
}

export interface LoadedWeights {
  /** In timm's layout; with `head.weight` and `head.bias` where the run is an evaluation. */
  readonly tensors: NamedTensors
  readonly origin: Omit<WeightsOrigin, 'version'>
}

/** As an evaluation that trains leaves them (`classifier.json` lists `classifier.safetensors`). */
const CLASSIFIER = { data: 'classifier.safetensors', manifest: 'classifier.json' } as const

/**
 * @param pretrain the pretraining that an evaluation hangs on; null where `run` is a pretraining itself
 * @param network null: the one that evaluations take: of an evaluation its own, of a pretraining that of the presets
 * @throws SpecError where the run has no weights to export, or no such network
 * @throws ArtifactMismatchError where a file is missing or damaged
 */
export async function loadForExport(
  store: ObjectStore,
  run: ExportedRun,
  pretrain: ExportedRun | null,
  network: Network | null,
): Promise<LoadedWeights> {
  const { spec } = run
  if (spec.kind === 'pretrain') return loadPretrained(store, { ...run, spec }, network)
  if (spec.kind === 'evaluate' && spec.mode !== 'transfer' && pretrain?.spec.kind === 'pretrain') {
    return loadEvaluated(store, { ...run, spec }, { ...pretrain, spec: pretrain.spec }, network)
  }
  throw new SpecError('only a pretraining, or an evaluation that trains, has weights to export', { field: 'run' })
}

/** Methods without a moving average have the online network alone. */
const hasTarget = ({ method }: PretrainSpec): boolean => method === 'msn' || method === 'dino'

async function loadPretrained(
  store: ObjectStore,
  { id, semantics, spec }: ExportedRun & { readonly spec: PretrainSpec },
  wanted: Network | null,
): Promise<LoadedWeights> {
  const network = wanted ?? PRESET_NETWORK[spec.method]
  if (network === 'target' && !hasTarget(spec)) {
    throw new SpecError(`method ${spec.method} has no target network`, { field: 'network' })
  }
  const trains = isTrainedPretrain(spec)
  const { tensors } = await createCheckpointStore(store, id, semantics).load(trains ? 'best' : 'final')
  return {
    tensors: timmBackbone(spec.backbone, tensors, network),
    origin: {
      runId: id,
      backbone: spec.backbone,
      normalisation: trains ? spec.normalisation : null,
      resizePx: null,
      network,
      method: spec.method,
      labels: null,
    },
  }
}

async function loadEvaluated(
  store: ObjectStore,
  { id, semantics, spec }: ExportedRun & { readonly spec: EvaluateSpec },
  pretrain: ExportedRun & { readonly spec: PretrainSpec },
  wanted: Network | null,
): Promise<LoadedWeights> {
  if (wanted !== null && wanted !== spec.network) {
    throw new SpecError(`the evaluation used the ${spec.network} network`, { field: 'network' })
  }
  const { tensors, labels } = await loadClassifier(store, id, semantics)
  const { backbone } = pretrain.spec
  const trained = spec.mode === 'finetune'
  const own = trained
    ? timmBackbone(backbone, renamed(tensors, 'backbone.', 'online.'), 'online')
    : (await loadPretrained(store, pretrain, spec.network)).tensors
  const head = Object.fromEntries(Object.entries(tensors).filter(([name]) => name.startsWith('head.')))
  return {
    tensors: { ...own, ...checkedHead(head, labels.length, backbone.dim) },
    origin: {
      runId: id,
      backbone,
      normalisation: spec.normalisation,
      resizePx: spec.resizePx,
      network: spec.network,
      method: `${pretrain.spec.method}, ${spec.mode}`,
      labels,
    },
  }
}

const renamed = (tensors: NamedTensors, from: string, to: string): NamedTensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name.replace(from, to), tensor]))

function checkedHead(head: NamedTensors, labels: number, dim: number): NamedTensors {
  const shapes = { 'head.weight': [labels, dim], 'head.bias': [labels] }
  for (const [name, shape] of Object.entries(shapes)) {
    if (head[name]?.shape.join() !== shape.join())
      throw new ArtifactMismatchError(`the classifier has no ${name} of shape [${shape}]`)
  }
  return head
}

async function loadClassifier(
  store: ObjectStore,
  runId: string,
  semantics: number,
): Promise<{ tensors: NamedTensors; labels: string[] }> {
  const manifest = await readManifest(store, CLASSIFIER.manifest, { runId, semantics })
  if (!manifest) throw new ArtifactMismatchError(`run ${runId} left no classifier`)
  const bytes = await getArtifact(store, runId, fileNamed(manifest, CLASSIFIER.data))
  const tensors = float32Tensors(decodeSafetensors(bytes, CLASSIFIER.data), CLASSIFIER.data)
  return { tensors, labels: JSON.parse(manifest.meta.labels ?? '[]') as string[] }
}
