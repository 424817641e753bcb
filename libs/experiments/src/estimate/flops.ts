/**
 * Floating point operations of the networks: matrix products alone, an addition and a multiplication counted as two. Everything
 * else (norms, softmax, optimiser) is a few percent.
 */
import { keptPatchCount } from '../resolve-pretrain.ts'
import type { BackboneSpec, DinoPretrainSpec, MaePretrainSpec, MsnPretrainSpec, TrainedPretrainSpec } from '../spec.ts'

const CHANNELS = 3

/** Of one matrix product [rows, width] x [width, out]. */
const product = (rows: number, width: number, out: number): number => 2 * rows * width * out

interface Pass {
  readonly forward: number
  /** Forward, and backward to weights and inputs; images get no gradient. */
  readonly training: number
}

/** Forward and training of layers whose inputs get a gradient too. */
const layers = (forward: number): Pass => ({ forward, training: 3 * forward })
const firstLayer = (forward: number): Pass => ({ forward, training: 2 * forward })
const sum = (...passes: readonly Pass[]): Pass => ({
  forward: passes.reduce((total, pass) => total + pass.forward, 0),
  training: passes.reduce((total, pass) => total + pass.training, 0),
})

/** A whole block on `tokens` tokens: qkv, scores and mix, projection, MLP. */
function block(tokens: number, dim: number, mlpRatio: number): number {
  const attention = 2 * product(tokens, dim, tokens)
  return product(tokens, dim, 3 * dim) + attention + product(tokens, dim, dim) + 2 * product(tokens, dim, mlpRatio * dim)
}

/** The last block where only the class token's output is used: keys and values of all tokens, one query. */
function classTokenBlock(tokens: number, dim: number, mlpRatio: number): number {
  const ownToken = product(1, dim, dim) + 2 * product(1, dim, tokens) + product(1, dim, dim) + 2 * product(1, dim, mlpRatio * dim)
  return product(tokens, dim, 2 * dim) + ownToken
}

const patchDim = ({ patchPx }: BackboneSpec): number => CHANNELS * patchPx ** 2
const patchesOf = (sidePx: number, { patchPx }: BackboneSpec): number => (sidePx / patchPx) ** 2

/** The trunk on one view of which `kept` patches are seen. @param classOnly whether the class token alone is used */
function trunk(backbone: BackboneSpec, kept: number, classOnly = true): Pass {
  const { dim, depth, mlpRatio } = backbone
  const tokens = kept + 1
  const whole = block(tokens, dim, mlpRatio)
  const last = classOnly ? classTokenBlock(tokens, dim, mlpRatio) : whole
  return sum(firstLayer(product(kept, patchDim(backbone), dim)), layers((depth - 1) * whole + last))
}

/** A view that is trained on: in micro-batches its trunk runs forward twice. */
const trained = ({ forward, training }: Pass, { microBatch }: TrainedPretrainSpec): number =>
  training + (microBatch === null ? 0 : forward)

function msn(spec: MsnPretrainSpec): number {
  const { backbone, views, mask, head, ehr, prototypes } = spec
  const { dim, imagePx, patchPx } = backbone
  const anchors = 1 + views.focalCount
  const random = trunk(backbone, keptPatchCount(imagePx, patchPx, mask.random))
  const focal = trunk(backbone, views.focalCount > 0 ? keptPatchCount(views.focalPx, patchPx, mask.focal) : 0)
  const { hiddenDim, outDim } = head
  const projection = layers(product(1, dim, hiddenDim) + product(1, hiddenDim, hiddenDim) + product(1, hiddenDim, outDim))
  const scores = product(1, outDim, prototypes.count)
  // Prototypes that are not trained get no gradient.
  const assignment = { forward: scores, training: (prototypes.trainable ? 3 : 2) * scores }
  const fusion = ehr === null ? layers(0) : layers(product(1, dim + ehr.embedDim, dim))
  const target = trunk(backbone, patchesOf(imagePx, backbone)).forward + projection.forward + assignment.forward
  const ofAnchor = projection.training + assignment.training + fusion.training
  return target + trained(random, spec) + views.focalCount * trained(focal, spec) + anchors * ofAnchor
}

function dino(spec: DinoPretrainSpec): number {
  const { backbone, views, head } = spec
  const { hiddenDim, bottleneckDim, outDim } = head
  const projection = layers(
    product(1, backbone.dim, hiddenDim) +
      product(1, hiddenDim, hiddenDim) +
      product(1, hiddenDim, bottleneckDim) +
      product(1, bottleneckDim, outDim),
  )
  const global = trunk(backbone, patchesOf(backbone.imagePx, backbone))
  const local = trunk(backbone, patchesOf(views.localPx, backbone))
  const teacher = views.globalCount * (global.forward + projection.forward)
  const student = views.globalCount * trained(global, spec) + views.localCount * trained(local, spec)
  return teacher + student + (views.globalCount + views.localCount) * projection.training
}

function mae(spec: MaePretrainSpec): number {
  const { backbone, decoder, mask } = spec
  const patches = patchesOf(backbone.imagePx, backbone)
  const kept = keptPatchCount(backbone.imagePx, backbone.patchPx, mask.image)
  const ofDecoder =
    product(kept + 1, backbone.dim, decoder.dim) +
    decoder.depth * block(patches + 1, decoder.dim, decoder.mlpRatio) +
    product(patches - kept, decoder.dim, patchDim(backbone))
  return trained(sum(trunk(backbone, kept, false), layers(ofDecoder)), spec)
}

/** Of one image in one training step of a pretraining, all its views together. */
export function pretrainFlops(spec: TrainedPretrainSpec): number {
  switch (spec.method) {
    case 'msn':
      return msn(spec)
    case 'dino':
      return dino(spec)
    case 'mae':
      return mae(spec)
  }
}

/** Of one evaluation image: forward alone, and a step of fine-tuning. The head of a few rows is left out. */
export const evaluationFlops = (backbone: BackboneSpec): Pass => trunk(backbone, patchesOf(backbone.imagePx, backbone))
