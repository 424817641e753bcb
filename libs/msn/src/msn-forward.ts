/** One MSN forward and backward pass, without any update. */
import type { Tensor } from '@tensorflow/tfjs'
import { backboneFeatures, backboneParameters } from './backbone.ts'
import { type MsnConfig, type MsnLayout, msnLayout, type ViewLayout } from './config.ts'
import { ehrParameters, fuseEhr } from './ehr.ts'
import { headBuffers, headParameters, projectionHead } from './head.ts'
import { msnLoss, targetAssignments } from './loss.ts'
import {
  differentiateAtOnce,
  differentiateInPieces,
  featuresInPieces,
  inPieces,
  type TrunkAndHead,
  type TrunkPiece,
} from './micro-batches.ts'
import { type ParameterSpec, type Parameters, parameter } from './parameters.ts'
import { prototypeParameter } from './prototypes.ts'
import type { Shape, TensorMap } from './step.ts'

/** The parameter lists of one configuration. */
export interface MsnParameters {
  /** Backbone, head and, with EHR, the fusion layers: what the anchors pass through. */
  readonly online: readonly ParameterSpec[]
  /** Backbone and head: what the target is an average of. */
  readonly target: readonly ParameterSpec[]
  /** BatchNorm running statistics, one set a network. */
  readonly buffers: readonly ParameterSpec[]
  readonly prototypes: ParameterSpec
  /** What the optimiser updates, in a fixed order. */
  readonly trained: readonly ParameterSpec[]
}

export function msnParameters(config: MsnConfig): MsnParameters {
  const { backbone, head, ehr } = config
  const target = [...backboneParameters(backbone), ...headParameters(head, backbone.dim)]
  const online = [...target, ...(ehr ? ehrParameters(backbone.dim, ehr.width, ehr.embedDim) : [])]
  const prototypes = prototypeParameter(config.prototypes.count, head.outDim)
  return {
    online,
    target,
    buffers: headBuffers(head),
    prototypes,
    trained: config.prototypes.trainable ? [...online, prototypes] : online,
  }
}

/** Whether a view's patches come with one-hot positions: only where the mask drops some. */
export const isMasked = (view: ViewLayout): boolean => view.kept < view.patches

/** Shapes of a step's batch arrays. */
export function msnBatchShapes(config: MsnConfig, layout: MsnLayout): Record<string, Shape> {
  const shapes: Record<string, Shape> = {}
  const views = { target: layout.target, random: layout.random, focal: layout.focal }
  for (const [name, view] of Object.entries(views)) {
    if (!view) continue
    shapes[`${name}.patches`] = [view.rows, view.kept, layout.patchDim]
    if (isMasked(view)) shapes[`${name}.positions`] = [view.rows, view.kept, view.patches]
  }
  if (config.ehr) shapes.ehr = [layout.batch, config.ehr.width]
  return shapes
}

type ViewKind = 'target' | 'random' | 'focal'

/** The rows of one kind of view on their way through the trunk, `microBatch` images at a time. */
function viewPieces(config: MsnConfig, layout: MsnLayout, batch: TensorMap, kind: ViewKind): TrunkPiece[] {
  const view = layout[kind]
  if (!view) return []
  const patches = parameter(batch, `${kind}.patches`)
  const positions = batch[`${kind}.positions`]
  const size = config.microBatch ? (config.microBatch * view.rows) / layout.batch : null
  return inPieces({ patches, ...(positions && { positions }) }, size, (params, inputs) =>
    backboneFeatures(config.backbone, params, {
      patches: parameter(inputs, 'patches'),
      positions: inputs.positions ?? null,
      grid: view.grid,
    }),
  )
}

export interface MsnPass {
  /** Scalars `loss`, `ce`, `memax`; `z`, `p`, `logP`, `t`, `zTarget`, `headInput`. */
  readonly values: TensorMap
  readonly onlineBuffers: TensorMap
  readonly targetBuffers: TensorMap
  /** By trained parameter. */
  readonly gradients: TensorMap
}

export interface MsnNetworks {
  readonly online: Parameters
  readonly onlineBuffers: Parameters
  readonly target: Parameters
  readonly targetBuffers: Parameters
  readonly prototypes: Tensor
}

/** Loss and gradients of one batch. The target side is computed outside the differentiated function: it has no gradient. */
export function msnPass(config: MsnConfig, batchSize: number, networks: MsnNetworks, batch: TensorMap): MsnPass {
  const layout = msnLayout(config, batchSize)
  const targetFeatures = featuresInPieces({ ...networks.target }, viewPieces(config, layout, batch, 'target'))
  const target = projectionHead(networks.target, targetFeatures, [layout.batch], networks.targetBuffers)
  const t = targetAssignments(target.z, networks.prototypes, config.loss)
  const anchors = [...viewPieces(config, layout, batch, 'random'), ...viewPieces(config, layout, batch, 'focal')]
  const inTrunk = new Set(backboneParameters(config.backbone).map(({ name }) => name))
  const names = msnParameters(config).trained.map(({ name }) => name)
  const work: TrunkAndHead = {
    tensors: { ...networks.online, prototypes: networks.prototypes },
    trunkNames: names.filter((name) => inTrunk.has(name)),
    headNames: names.filter((name) => !inTrunk.has(name)),
    pieces: anchors,
    head: (params, features) => {
      const headInput = config.ehr ? fuseEhr(params, features, parameter(batch, 'ehr')) : features
      const { z, buffers } = projectionHead(params, headInput, headGroups(config, layout), networks.onlineBuffers)
      const { loss, ce, memax, logP, p } = msnLoss(z, parameter(params, 'prototypes'), t, config.loss)
      return { loss, extras: { ce, memax, logP, p, z, headInput, ...buffers } }
    },
  }
  const { loss, gradients, extras } = config.microBatch ? differentiateInPieces(work, [t]) : differentiateAtOnce(work)
  const bufferNames = new Set(msnParameters(config).buffers.map(({ name }) => name))
  const onlineBuffers = Object.fromEntries(Object.entries(extras).filter(([name]) => bufferNames.has(name)))
  const values = Object.fromEntries(Object.entries(extras).filter(([name]) => !bufferNames.has(name)))
  return {
    values: { loss, ...values, t, zTarget: target.z },
    onlineBuffers,
    targetBuffers: target.buffers,
    gradients: Object.fromEntries(names.map((name) => [name, parameter(gradients, name)])),
  }
}

/** Row counts of the anchors' BatchNorm groups. */
function headGroups(config: MsnConfig, layout: MsnLayout): number[] {
  if (config.head.bnGroups === 'joint' || !layout.focal) return [layout.anchorRows]
  return [layout.random.rows, layout.focal.rows]
}
