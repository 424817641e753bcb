/**
 * The DINO training step (Caron et al. 2021, arXiv 2104.14294, algorithm 1): teacher and student forward, loss, backward, AdamW,
 * centre, moving average of the teacher.
 *
 * State: `online.<parameter>` (student), `target.<parameter>` (teacher), `centre` [K], `adam.m.<parameter>`, `adam.v.<parameter>`.
 */
import type { Tensor } from '@tensorflow/tfjs'
import { backboneFeatures, backboneParameters } from '../backbone.ts'
import { globalNorm, meanRowEntropy, meanRowMax } from '../diagnostics.ts'
import { movingAverage } from '../ema.ts'
import { initialArrays, type ParameterDraws } from '../init.ts'
import { differentiateAtOnce, differentiateInPieces, featuresInPieces, inPieces, type TrunkPiece } from '../micro-batches.ts'
import { optimise, type Trained } from '../optimise.ts'
import { type ParameterSpec, parameter, prefixed, scoped, shapesOf, zeroArrays } from '../parameters.ts'
import type { Shape, StateArrays, Step, StepSignature, TensorMap } from '../step.ts'
import { tf } from '../tf.ts'
import { type DinoConfig, type DinoLayout, type DinoViewLayout, dinoLayout } from './config.ts'
import { dinoHead, dinoHeadParameters, LAST_LAYER } from './head.ts'
import { dinoLoss, nextCentre, teacherAssignments } from './loss.ts'
import { DINO_SCALARS } from './schedules.ts'

/**
 * What a training step hands out, all scalars: the loss and its two parts, the teacher's mean entropy and the mean KL divergence
 * of the student from it, the mean of the teacher's largest share, and the gradient's norm. Collapse: entropy near 0 (one output)
 * or near log K (all alike), with a KL near 0.
 */
export const DINO_OUTPUTS = ['loss', 'entropy', 'kl', 'maxT', 'gradNorm'] as const
export type DinoOutput = (typeof DINO_OUTPUTS)[number]

/** Backbone and head, the same for student and teacher. */
export function dinoParameters({ backbone, head }: DinoConfig): ParameterSpec[] {
  return [...backboneParameters(backbone), ...dinoHeadParameters(head, backbone.dim)]
}

/**
 * One training step on `batch` images.
 * @throws MsnConfigError where the configuration is impossible
 */
export function dinoTrainStep(config: DinoConfig, batch: number): Step {
  const layout = dinoLayout(config, batch)
  return {
    name: `dino-train-${batch}`,
    signature: dinoSignature(config, layout),
    run: (state, arrays, scalars) => {
      const target = targetOf(config, state, scalars)
      const pass = dinoPass(
        config,
        layout,
        { online: scoped(state, 'online.'), target, centre: parameter(state, 'centre') },
        arrays,
      )
      const updated = optimise(config.optimiser, trainedOf(config, scalars), state, pass.gradients, scalars)
      const after = config.target.apply === 'before-forward' ? target : average(target, scoped(updated, 'online.'), scalars)
      return {
        state: { ...updated, ...prefixed(after, 'target.'), centre: pass.centre },
        outputs: diagnose(pass),
      }
    },
  }
}

/**
 * The same pass without any update, for naming what went bad: `teacherLogits` and `assignments` [teacher views * batch, K],
 * `studentLogits` [student views * batch, K], `loss`, `grad.<parameter>`.
 */
export function dinoProbeStep(config: DinoConfig, batch: number): Step {
  const layout = dinoLayout(config, batch)
  return {
    name: `dino-probe-${batch}`,
    signature: dinoSignature(config, layout),
    run: (state, arrays, scalars) => {
      const networks = {
        online: scoped(state, 'online.'),
        target: targetOf(config, state, scalars),
        centre: parameter(state, 'centre'),
      }
      const { teacherLogits, assignments, studentLogits, loss, gradients } = dinoPass(config, layout, networks, arrays)
      return { state: {}, outputs: { teacherLogits, assignments, studentLogits, loss, ...prefixed(gradients, 'grad.') } }
    },
  }
}

function dinoSignature(config: DinoConfig, layout: DinoLayout): StepSignature {
  const specs = dinoParameters(config)
  const patches = ({ rows, grid }: DinoViewLayout): Shape => [rows, grid ** 2, layout.patchDim]
  return {
    state: {
      ...shapesOf(specs, 'online.'),
      ...shapesOf(specs, 'target.'),
      centre: [config.head.outDim],
      ...shapesOf(specs, 'adam.m.'),
      ...shapesOf(specs, 'adam.v.'),
    },
    batch: {
      'global.patches': patches(layout.global),
      ...(layout.local && { 'local.patches': patches(layout.local) }),
    },
    scalars: DINO_SCALARS,
  }
}

/** State before the first step; the teacher is a copy of the student. @param draws as in msnInitialState */
export function dinoInitialState(config: DinoConfig, draws: ParameterDraws): StateArrays {
  const specs = dinoParameters(config)
  const start = initialArrays(specs, draws)
  const copied = Object.fromEntries(Object.entries(start).map(([name, values]) => [`target.${name}`, values.slice()]))
  return {
    ...prefixed(start, 'online.'),
    ...copied,
    centre: new Float32Array(config.head.outDim),
    ...zeroArrays(specs, 'adam.m.'),
    ...zeroArrays(specs, 'adam.v.'),
  }
}

function trainedOf(config: DinoConfig, scalars: TensorMap): Trained[] {
  const held = {
    adam1: parameter(scalars, 'lastAdam1'),
    adam2: parameter(scalars, 'lastAdam2'),
    moves: parameter(scalars, 'lastLayer'),
  }
  return dinoParameters(config).map((spec) => ({
    spec,
    stateName: `online.${spec.name}`,
    ...(spec.name === LAST_LAYER && config.head.frozenEpochs > 0 && { held }),
  }))
}

function average(target: TensorMap, online: TensorMap, scalars: TensorMap): TensorMap {
  return movingAverage(target, online, parameter(scalars, 'momentum'), parameter(scalars, 'targetMix'))
}

function targetOf(config: DinoConfig, state: TensorMap, scalars: TensorMap): TensorMap {
  const target = scoped(state, 'target.')
  return config.target.apply === 'before-forward' ? average(target, scoped(state, 'online.'), scalars) : target
}

interface DinoNetworks {
  readonly online: TensorMap
  readonly target: TensorMap
  readonly centre: Tensor
}

interface DinoPass {
  readonly loss: Tensor
  /** [teacher views * batch, K] */
  readonly teacherLogits: Tensor
  /** The teacher's, [teacher views * batch, K]. */
  readonly assignments: Tensor
  /** [student views * batch, K] */
  readonly studentLogits: Tensor
  readonly centre: Tensor
  readonly gradients: TensorMap
}

/** Loss and gradients of one batch; the teacher is computed outside the differentiated function. */
function dinoPass(config: DinoConfig, layout: DinoLayout, networks: DinoNetworks, batch: TensorMap): DinoPass {
  const global = viewPieces(config, layout, batch, 'global')
  const teacherLogits = dinoHead(networks.target, featuresInPieces({ ...networks.target }, global))
  const assignments = teacherAssignments(teacherLogits, networks.centre, config.loss)
  const work = {
    tensors: { ...networks.online },
    trunkNames: backboneParameters(config.backbone).map(({ name }) => name),
    headNames: dinoHeadParameters(config.head, config.backbone.dim).map(({ name }) => name),
    pieces: [...global, ...viewPieces(config, layout, batch, 'local')],
    head: (params: TensorMap, features: Tensor) => {
      const studentLogits = dinoHead(params, features)
      return { loss: dinoLoss(studentLogits, assignments, layout.batch, config.loss), extras: { studentLogits } }
    },
  }
  const { loss, gradients, extras } = config.microBatch ? differentiateInPieces(work, [assignments]) : differentiateAtOnce(work)
  return {
    loss,
    teacherLogits,
    assignments,
    studentLogits: parameter(extras, 'studentLogits'),
    centre: nextCentre(networks.centre, teacherLogits, config.loss),
    gradients,
  }
}

function viewPieces(config: DinoConfig, layout: DinoLayout, batch: TensorMap, kind: 'global' | 'local'): TrunkPiece[] {
  const view = layout[kind]
  if (!view) return []
  const size = config.microBatch ? config.microBatch * view.count : null
  return inPieces({ patches: parameter(batch, `${kind}.patches`) }, size, (params, inputs) =>
    backboneFeatures(config.backbone, params, { patches: parameter(inputs, 'patches'), positions: null, grid: view.grid }),
  )
}

function diagnose({ loss, assignments, gradients }: DinoPass): Record<DinoOutput, Tensor> {
  // Adding the smallest normal float32 changes no share that counts and gives a share of 0 the entropy 0.
  const entropy = meanRowEntropy(assignments, tf.log(tf.add(assignments, 1e-37)))
  return {
    loss,
    entropy,
    // The mean cross-entropy over pairs is the teacher's mean entropy plus the mean divergence: each teacher row is in as many pairs.
    kl: tf.sub(loss, entropy),
    maxT: meanRowMax(assignments),
    gradNorm: globalNorm(Object.values(gradients)),
  }
}
