/** All golden cases of DINO and MAE, for any executor. */
import {
  dinoHead,
  dinoHeadParameters,
  dinoLoss,
  LAST_LAYER,
  maeLoss,
  nextCentre,
  normalisedPatches,
  patchesOfChannels,
  type Step,
  shapesOf,
  teacherAssignments,
  tf,
} from '#libs/msn'
import goldenJson from './data/dino-mae.json' with { type: 'json' }
import { type FillRule, fill } from './filler.ts'
import type { Expectation, GoldenCase, GoldenRun } from './golden-case.ts'
import { gradientRows, near, nearNorm, nearRows } from './msn-expectations.ts'

type Rows = number[][]

interface DinoStepGolden {
  readonly teacher: FillRule
  readonly student: FillRule
  readonly centreBefore: number[]
  readonly loss: number
  readonly dStudent: Rows[]
  readonly centreAfter: number[]
}

interface DinoMaeGolden {
  readonly dino: {
    readonly teacherTemp: number
    readonly studentTemp: number
    readonly centreMomentum: number
    readonly steps: readonly DinoStepGolden[]
  }
  readonly dinoHead: {
    readonly input: FillRule
    readonly layers: readonly (FillRule & { name: string })[]
    readonly logits: Rows
  }
  readonly mae: {
    readonly images: FillRule
    readonly patch: number
    readonly masked: Rows
    readonly pred: FillRule
    readonly cases: readonly {
      readonly normPixels: boolean
      readonly target: Rows[]
      readonly loss: number
      readonly dPred: Rows[]
      readonly normDPred: number
    }[]
  }
}

// The compiler's type of the file has a tuple for each list.
const golden = goldenJson as unknown as DinoMaeGolden

export function dinoMaeCases(): GoldenCase[] {
  return [dinoLossCase(), dinoHeadCase(), ...golden.mae.cases.map(maeCase)]
}

/** Three batches one after the other: loss, the student's gradient, and the centre that the next batch meets. */
function dinoLossCase(): GoldenCase {
  const { teacherTemp, studentTemp, centreMomentum, steps } = golden.dino
  const config = { teacherTemperature: teacherTemp, studentTemperature: studentTemp, centreMomentum }
  const [, batch, count] = steps[0]!.teacher.shape as [number, number, number]
  const rows = ({ shape }: FillRule) => [shape[0]! * batch, count]
  const step: Step = {
    name: 'golden-dino-loss',
    signature: {
      state: { centre: [count] },
      batch: { teacher: rows(steps[0]!.teacher), student: rows(steps[0]!.student) },
      scalars: [],
    },
    run: ({ centre }, { teacher, student }) => {
      const assignments = teacherAssignments(teacher!, centre!, config)
      const lossOf = (logits: typeof centre) => dinoLoss(logits!, assignments, batch, config)
      const next = nextCentre(centre!, teacher!, config)
      return {
        state: { centre: next },
        outputs: { loss: lossOf(student!), dStudent: tf.grad(lossOf)(student!), centre: next },
      }
    },
  }
  const runs = steps.map(
    (one): GoldenRun => ({
      batch: { teacher: fill(one.teacher), student: fill(one.student) },
      scalars: {},
      outputs: { loss: near(one.loss), dStudent: gradientRows(one.dStudent.flat()), centre: near(...one.centreAfter) },
    }),
  )
  const state = { centre: Float32Array.from(steps[0]!.centreBefore) }
  return { name: 'DINO loss, three steps', step, state, runs, after: { centre: near(...steps.at(-1)!.centreAfter) } }
}

const HEAD_NAMES: Readonly<Record<string, string>> = {
  w1: 'head.mlp.0.weight',
  b1: 'head.mlp.0.bias',
  w2: 'head.mlp.2.weight',
  b2: 'head.mlp.2.bias',
  w3: 'head.mlp.4.weight',
  b3: 'head.mlp.4.bias',
  wLast: LAST_LAYER,
}

function dinoHeadCase(): GoldenCase {
  const { input, layers, logits } = golden.dinoHead
  const size = (name: string) => layers.find((layer) => layer.name === name)!.shape[0]!
  const config = { hiddenDim: size('w1'), bottleneckDim: size('w3'), outDim: size('wLast') }
  const step: Step = {
    name: 'golden-dino-head',
    signature: { state: shapesOf(dinoHeadParameters(config, input.shape[1]!)), batch: { input: input.shape }, scalars: [] },
    run: (state, { input: x }) => ({ state: {}, outputs: { logits: dinoHead(state, x!) } }),
  }
  const state = Object.fromEntries(layers.map((layer) => [HEAD_NAMES[layer.name]!, fill(layer)]))
  const run: GoldenRun = { batch: { input: fill(input) }, scalars: {}, outputs: { logits: nearRows(logits) } }
  return { name: 'DINO head', step, state, runs: [run], after: {} }
}

/** A patch of the file, (row, column, channel), in the library's order, (channel, row, column). */
function reordered<T>(patch: ArrayLike<T>): T[] {
  const area = patch.length / 3
  return Array.from({ length: patch.length }, (_, i) => patch[(i % area) * 3 + Math.floor(i / area)]!)
}

function maeCase({ normPixels, target, loss, dPred, normDPred }: DinoMaeGolden['mae']['cases'][number]): GoldenCase {
  const { images, patch, masked, pred } = golden.mae
  const [rows, , sidePx] = images.shape as [number, number, number]
  const patchDim = 3 * patch * patch
  const shape = [rows, masked[0]!.length, patchDim]
  const step: Step = {
    name: `golden-mae-${normPixels}`,
    signature: { state: {}, batch: { patches: shape, pred: shape }, scalars: [] },
    run: (_, { patches, pred: predicted }) => {
      const wanted = normPixels ? normalisedPatches(patches!) : patches!
      const lossOf = (given: typeof wanted) => maeLoss(given, wanted)
      return { state: {}, outputs: { target: wanted, loss: lossOf(predicted!), dPred: tf.grad(lossOf)(predicted!) } }
    },
  }
  const filled = fill(pred)
  const ownPred = Array.from({ length: filled.length / patchDim }, (_, i) =>
    reordered(filled.subarray(i * patchDim, (i + 1) * patchDim)),
  )
  const ids = Int32Array.from(masked.flat())
  const batch = {
    patches: patchesOfChannels(fill(images), rows, sidePx, patch, ids),
    pred: Float32Array.from(ownPred.flat()),
  }
  const outputs: Record<string, readonly Expectation[]> = {
    target: nearRows(target.flat().map(reordered)),
    loss: near(loss),
    dPred: [...gradientRows(dPred.flat().map(reordered)), ...nearNorm(normDPred)],
  }
  return { name: `MAE loss, normPixels ${normPixels}`, step, state: {}, runs: [{ batch, scalars: {}, outputs }], after: {} }
}
