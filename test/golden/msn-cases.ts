/** All golden cases of the MSN core, for any executor: `for (const c of goldenCases()) await checkCase(c, executor)`. */
import {
  backboneFeatures,
  backboneParameters,
  headBuffers,
  headParameters,
  type MsnConfig,
  meanRowEntropy,
  msnLoss,
  msnProbeStep,
  msnScalars,
  msnTrainStep,
  projectionHead,
  type StateArrays,
  type Step,
  shapesOf,
  sinkhorn,
  targetAssignments,
  tf,
} from '#libs/msn'
import { type FillRule, fill } from './filler.ts'
import type { GoldenCase, GoldenRun } from './golden-case.ts'
import {
  filledParameters,
  filledState,
  originalConfig,
  ownName,
  paperConfig,
  patchArrays,
  stackedPatchArrays,
} from './msn-configs.ts'
import { gradientRows, gradients, near, nearNorm, nearRows, stepOutputs } from './msn-expectations.ts'
import { type LossGolden, original, type PaperCase, paper, type Rows } from './msn-golden-files.ts'

export { checkCase, type GoldenCase } from './golden-case.ts'

const BATCH = 6
const STEPS_PER_EPOCH = 4
const IMAGE_SCALE = 1.5

export function goldenCases(): GoldenCase[] {
  return [
    ...original.loss.map(lossCase),
    ...original.sinkhorn.map(sinkhornCase),
    ...original.trunk.map(({ name, input, keep, cls }) =>
      trunkCase(
        `original trunk, ${name}`,
        originalConfig,
        filledParameters(original.parameters),
        input,
        everyRow(keep, input),
        cls,
      ),
    ),
    headCase(),
    originalTraining(),
    ...paperTrunks(),
    ...paper.cases.map((golden) => paperTraining(golden)),
  ]
}

/** The training cases with the trunk run in uneven pieces: four images, then two. */
export function microBatchCases(): GoldenCase[] {
  return [originalTraining(4), ...paper.cases.map((golden) => paperTraining(golden, 4))]
}

const everyRow = (keep: number[] | null, input: FillRule): Rows | null =>
  keep && Array.from({ length: input.shape[0]! }, () => keep)

/** Loss, its parts and its gradients with respect to anchors and prototypes. */
function lossCase(golden: LossGolden): GoldenCase {
  const { B, V, K, D, scale, seeds } = golden
  const shapes = { z: [V * B, D], zTarget: [B, D], q: [K, D] }
  const config = {
    temperature: golden.tau,
    sharpening: golden.sharpen,
    sinkhornIterations: golden.sinkhornIterations,
    meMaxWeight: golden.memaxWeight,
  }
  const step: Step = {
    name: `golden-loss-${golden.name}`,
    signature: { state: {}, batch: shapes, scalars: [] },
    run: (_, { z, zTarget, q }) => {
      const t = targetAssignments(zTarget!, q!, config)
      const [dz, dq] = tf.grads((z, q) => msnLoss(z!, q!, t, config).loss)([z!, q!])
      const { loss, ce, memax, p, logP } = msnLoss(z!, q!, t, config)
      return { state: {}, outputs: { loss, ce, memax, entropy: meanRowEntropy(p, logP), t, p, dz: dz!, dq: dq! } }
    },
  }
  const run: GoldenRun = {
    batch: {
      z: fill({ shape: shapes.z, seed: seeds.z, scale }),
      zTarget: fill({ shape: shapes.zTarget, seed: seeds.zTarget, scale }),
      q: fill({ shape: shapes.q, seed: seeds.q, scale }),
    },
    scalars: {},
    outputs: {
      loss: near(golden.loss),
      ce: near(golden.ce),
      memax: near(golden.memax),
      entropy: near(golden.entropy),
      t: nearRows(golden.t),
      p: nearRows(golden.p),
      dz: gradientRows(golden.dz),
      dq: gradientRows(golden.dq),
    },
  }
  return { name: `loss, ${golden.name}`, step, state: {}, runs: [run], after: {} }
}

/** Sinkhorn on the sharpened targets of the first loss case. */
function sinkhornCase(golden: { iterations: number; t: Rows }): GoldenCase {
  const { B, K, D, seeds, scale, tau, sharpen } = original.loss[0]!
  const shapes = { zTarget: [B, D], q: [K, D] }
  const config = { temperature: tau, sharpening: sharpen, sinkhornIterations: 0, meMaxWeight: 1 }
  const step: Step = {
    name: `golden-sinkhorn-${golden.iterations}`,
    signature: { state: {}, batch: shapes, scalars: [] },
    run: (_, { zTarget, q }) => ({
      state: {},
      outputs: { t: sinkhorn(targetAssignments(zTarget!, q!, config), golden.iterations) },
    }),
  }
  const batch = {
    zTarget: fill({ shape: shapes.zTarget, seed: seeds.zTarget, scale }),
    q: fill({ shape: shapes.q, seed: seeds.q, scale }),
  }
  const run = { batch, scalars: {}, outputs: { t: nearRows(golden.t) } }
  return { name: `sinkhorn, ${golden.iterations} iterations`, step, state: {}, runs: [run], after: {} }
}

/** Class token after the final norm, of images with all patches or the kept ones. */
function trunkCase(
  name: string,
  config: MsnConfig,
  params: StateArrays,
  images: FillRule,
  keep: Rows | null,
  cls: Rows,
): GoldenCase {
  const { backbone } = config
  const specs = backboneParameters(backbone)
  const batch: Record<string, Float32Array> = {}
  patchArrays('in', images, keep, batch)
  const [rows, , sidePx] = images.shape as [number, number, number]
  const grid = sidePx / backbone.patchPx
  const kept = keep ? keep[0]!.length : grid ** 2
  const step: Step = {
    name: `golden-${name}`,
    signature: {
      state: shapesOf(specs),
      batch: {
        'in.patches': [rows, kept, 3 * backbone.patchPx ** 2],
        ...(keep && { 'in.positions': [rows, kept, grid ** 2] }),
      },
      scalars: [],
    },
    run: (state, arrays) => {
      const input = { patches: arrays['in.patches']!, positions: arrays['in.positions'] ?? null, grid }
      return { state: {}, outputs: { features: backboneFeatures(backbone, state, input) } }
    },
  }
  const state = Object.fromEntries(specs.map((spec) => [spec.name, params[spec.name]!]))
  return { name, step, state, runs: [{ batch, scalars: {}, outputs: { features: nearRows(cls) } }], after: {} }
}

/** Trunk and projection head together. */
function headCase(): GoldenCase {
  const { backbone, head } = originalConfig
  const images = { shape: [BATCH, 3, 32, 32], seed: 5001, scale: IMAGE_SCALE }
  const keep = everyRow(original.training.data.keepRandom, images)
  const params = filledParameters(original.parameters)
  const trunk = trunkCase('original head', originalConfig, params, images, keep, original.head.z)
  const specs = [...headParameters(head, backbone.dim), ...headBuffers(head)]
  const fresh = filledState(originalConfig, original.parameters, original.prototypes)
  const step: Step = {
    ...trunk.step,
    signature: { ...trunk.step.signature, state: { ...trunk.step.signature.state, ...shapesOf(specs) } },
    run: (state, batch, scalars) => {
      const { features } = trunk.step.run(state, batch, scalars).outputs
      return { state: {}, outputs: { z: projectionHead(state, features!, [BATCH], state).z } }
    },
  }
  const state = { ...trunk.state, ...Object.fromEntries(specs.map(({ name }) => [name, fresh[`online.${name}`]!])) }
  return { ...trunk, step, state, runs: [{ ...trunk.runs[0]!, outputs: { z: nearRows(original.head.z) } }] }
}

/** The training step that also hands out what the probe step shows. */
function probedTrainStep(config: MsnConfig): Step {
  const train = msnTrainStep(config, BATCH)
  const probe = msnProbeStep(config, BATCH)
  return {
    ...train,
    name: `golden-${train.name}`,
    run: (state, batch, scalars) => {
      const shown = probe.run(state, batch, scalars)
      const trained = train.run(state, batch, scalars)
      return { state: trained.state, outputs: { ...shown.outputs, ...trained.outputs } }
    },
  }
}

function originalTraining(microBatch: number | null = null): GoldenCase {
  const { data, steps, after3, zeroGradient, bnRunning, prototypesAfter3 } = original.training
  const runs = steps.map((golden, n): GoldenRun => {
    const batch: Record<string, Float32Array> = {}
    const full = (seed: number): FillRule => ({ shape: [BATCH, 3, 32, 32], seed, scale: IMAGE_SCALE })
    patchArrays('target', full(5000 + 100 * n), null, batch)
    patchArrays('random', full(5001 + 100 * n), everyRow(data.keepRandom, full(0)), batch)
    const focal = [0, 1, 2].map((k) => ({ shape: [BATCH, 3, 16, 16], seed: 5002 + 100 * n + k, scale: IMAGE_SCALE }))
    stackedPatchArrays('focal', focal, null, batch)
    return {
      batch,
      scalars: msnScalars(originalConfig, { step: n, epoch: 0, stepsPerEpoch: STEPS_PER_EPOCH }),
      outputs: {
        ...stepOutputs(golden, BATCH),
        ...gradients(original.parameters, golden, zeroGradient, ownName),
        'grad.prototypes': nearNorm(golden.gradNormPrototypes),
        gradNorm: nearNorm(Math.hypot(golden.gradNormEncoder, golden.gradNormPrototypes)),
      },
    }
  })
  const compared = Object.entries(after3).filter(([name]) => !zeroGradient.includes(name))
  const after = Object.fromEntries(
    compared.flatMap(([name, { online, target }]) => [
      [`online.${name}`, near(...online)],
      [`target.${name}`, near(...target)],
    ]),
  )
  for (const network of ['online', 'target'] as const) {
    for (const bn of ['bn1', 'bn2'] as const) {
      // The mean contains the bias before it, whose float noise Adam moves by up to the learning rate a step: by 3.0e-4
      // at most over the three steps (the target averages that away).
      const bound = network === 'online' ? 3.2e-4 : 1e-5
      after[`${network}.fc.${bn}.running_mean`] = [{ kind: 'values', values: bnRunning[network][bn].mean, bound }]
      after[`${network}.fc.${bn}.running_var`] = near(...bnRunning[network][bn].var)
    }
  }
  after.prototypes = nearRows(prototypesAfter3)
  const state = filledState(originalConfig, original.parameters, original.prototypes)
  return { name: 'original training, three steps', step: probedTrainStep({ ...originalConfig, microBatch }), state, runs, after }
}

/** Images of the paper file: view 0 target, 1 random, 2... focal. */
function paperImages(n: number, view: number): FillRule {
  const sidePx = view < 2 ? 32 : 16
  return { shape: [BATCH, 3, sidePx, sidePx], seed: 6000 + 100 * n + view, scale: IMAGE_SCALE }
}

function paperTrunks(): GoldenCase[] {
  const config = paperConfig(true, 'joint')
  const params = filledParameters(paper.parameters)
  const { random, focal } = paper.masks[0]!
  const { trunkStep0 } = paper
  return [
    trunkCase('paper trunk, target', config, params, paperImages(0, 0), null, trunkStep0.target),
    trunkCase('paper trunk, random anchor', config, params, paperImages(0, 1), random, trunkStep0.random),
    trunkCase('paper trunk, focal anchor', config, params, paperImages(0, 2), focal[0]!, trunkStep0.focal0),
  ]
}

function paperTraining(golden: PaperCase, microBatch: number | null = null): GoldenCase {
  const config = paperConfig(golden.ehr, golden.bn)
  const parameters = paper.parameters.filter(({ name }) => golden.ehr || !name.startsWith('ehr.'))
  const runs = golden.steps.map((step, n): GoldenRun => {
    const { random, focal } = paper.masks[n]!
    const batch: Record<string, Float32Array> = {}
    patchArrays('target', paperImages(n, 0), null, batch)
    patchArrays('random', paperImages(n, 1), random, batch)
    stackedPatchArrays(
      'focal',
      focal.map((_, k) => paperImages(n, 2 + k)),
      focal,
      batch,
    )
    if (golden.ehr) batch.ehr = fill({ shape: [BATCH, 13], seed: 6000 + 100 * n + 50, scale: 1 })
    return {
      batch,
      scalars: msnScalars(config, { step: n, epoch: 0, stepsPerEpoch: 1000 }),
      outputs: {
        ...stepOutputs(step, BATCH),
        cosine: near(step.meanPairwiseCosine),
        gradNorm: nearNorm(step.gradNorm),
        ...gradients(parameters, step, golden.zeroGradient, ownName),
      },
    }
  })
  const compared = (['online', 'target'] as const).flatMap((network) =>
    Object.entries(golden.after[network])
      .filter(([name]) => !golden.zeroGradient.includes(name))
      .map(([name, values]) => [`${network}.${ownName(name)}`, near(...values)] as const),
  )
  const prototypes = { shape: [12, 16], seed: 78, scale: 1 / Math.sqrt(16) }
  const state = filledState(config, parameters, prototypes)
  return {
    name: `paper training, ${golden.name}`,
    step: probedTrainStep({ ...config, microBatch }),
    state,
    runs,
    after: Object.fromEntries(compared),
  }
}
