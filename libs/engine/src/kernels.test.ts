import { beforeEach, describe, expect, it } from 'vitest'
import { barrier, type Step, type TensorMap, tf } from '#libs/msn'
import { createExecutor } from './engines.ts'
import type { EngineName } from './executor.ts'
import { compileStep } from './onnx/onnx-executor.ts'
import { tensorflowBuild } from './tensorflow/runtime.ts'
import { filler } from './testing.ts'
import { TRACEABLE_KERNELS } from './trace/kernels.ts'

type Tensor = TensorMap[string]

interface KernelCase {
  /** The tfjs kernel under test, as the CPU backend names it. */
  readonly kernel: string
  readonly title?: string
  readonly shapes: readonly (readonly number[])[]
  readonly run: (...inputs: Tensor[]) => Tensor | Tensor[]
  /** Values are drawn from [low, high). */
  readonly range?: readonly [number, number]
  readonly tolerance?: number
}

const matrix = [[3, 4]] as const
const pair = [
  [3, 4],
  [3, 4],
] as const
const rowwise = [[3, 4], [4]] as const

const unary = (kernel: string, run: (x: Tensor) => Tensor, range?: readonly [number, number]): KernelCase => ({
  kernel,
  shapes: matrix,
  run,
  ...(range ? { range } : {}),
})
const kernelOf = (kernelName: string) => (x: Tensor) => tf.engine().runKernel(kernelName, { x }) as Tensor

const UNARY: KernelCase[] = [
  unary('Abs', (x) => tf.abs(x)),
  unary('Ceil', (x) => tf.ceil(x), [-3, 3]),
  unary('Cos', (x) => tf.cos(x)),
  unary('Erf', (x) => tf.erf(x), [-3, 3]),
  unary('Exp', (x) => tf.exp(x)),
  unary('Expm1', (x) => tf.expm1(x)),
  unary('Floor', (x) => tf.floor(x), [-3, 3]),
  unary('Identity', (x) => tf.clone(x)),
  unary('Log', (x) => tf.log(x), [0.1, 2]),
  unary('Log1p', (x) => tf.log1p(x), [0.1, 2]),
  unary('LogicalNot', (x) => tf.logicalNot(tf.greater(x, 0) as Tensor)),
  unary('Neg', (x) => tf.neg(x)),
  unary('Reciprocal', (x) => tf.reciprocal(x), [0.5, 2]),
  unary('Relu', (x) => tf.relu(x)),
  unary('Round', (x) => tf.round(x), [-3, 3]),
  unary('Rsqrt', (x) => tf.rsqrt(x), [0.5, 2]),
  unary('Sigmoid', (x) => tf.sigmoid(x), [-4, 4]),
  unary('Sign', (x) => tf.sign(x)),
  unary('Sin', (x) => tf.sin(x)),
  unary('Softplus', (x) => tf.softplus(x)),
  unary('Sqrt', (x) => tf.sqrt(x), [0.1, 2]),
  unary('Square', (x) => tf.square(x)),
  unary('Tanh', (x) => tf.tanh(x)),
  unary('Step', (x) => tf.step(x, -0.5)),
  unary('ClipByValue', (x) => tf.clipByValue(x, -0.25, 0.5)),
  unary('Cast', (x) => tf.cast(x, 'int32'), [-3, 3]),
  unary('Softmax', (x) => tf.softmax(x)),
  unary('LogSoftmax', (x) => tf.logSoftmax(x)),
  unary('ZerosLike', (x) => tf.add(x, tf.zerosLike(x))),
  unary('OnesLike', (x) => tf.sub(x, tf.onesLike(x))),
  { kernel: 'Fill', shapes: matrix, run: (x) => tf.mul(x, tf.fill([3, 4], 0.75)) },
  { kernel: 'Fill', title: 'as an output of its own', shapes: matrix, run: () => tf.fill([2, 3], 1.5) },
  { kernel: 'Range', shapes: matrix, run: (x) => tf.mul(x, tf.range(1, 5)) },
]

const BINARY: KernelCase[] = (
  [
    ['Add', tf.add],
    ['Sub', tf.sub],
    ['Multiply', tf.mul],
    ['Maximum', tf.maximum],
    ['Minimum', tf.minimum],
    ['SquaredDifference', tf.squaredDifference],
    ['Equal', tf.equal],
    ['NotEqual', tf.notEqual],
    ['Greater', tf.greater],
    ['GreaterEqual', tf.greaterEqual],
    ['Less', tf.less],
    ['LessEqual', tf.lessEqual],
  ] as const
).flatMap(([kernel, op]): KernelCase[] => {
  // Rounded to tenths where equality matters, so that some entries are equal.
  const rounded = (x: Tensor): Tensor => (kernel.includes('qual') ? tf.round(tf.mul(x, 2)) : x)
  return [
    { kernel, shapes: pair, run: (a, b) => op(rounded(a!), rounded(b!)) },
    { kernel, title: 'broadcasting', shapes: rowwise, run: (a, b) => op(rounded(a!), rounded(b!)) },
  ]
})

const MORE_ELEMENTWISE: KernelCase[] = [
  { kernel: 'RealDiv', shapes: rowwise, run: (a, b) => tf.div(a!, b!), range: [0.5, 2] },
  { kernel: 'Pow', shapes: pair, run: (a, b) => tf.pow(a!, b!), range: [0.5, 2] },
  { kernel: 'AddN', shapes: [...pair, [3, 4]], run: (...all) => tf.addN(all) },
  { kernel: 'LogicalAnd', shapes: pair, run: (a, b) => tf.logicalAnd(tf.greater(a!, 0), tf.greater(b!, 0)) },
  { kernel: 'LogicalOr', shapes: pair, run: (a, b) => tf.logicalOr(tf.greater(a!, 0), tf.greater(b!, 0)) },
  { kernel: 'Select', shapes: [...pair, [3, 4]], run: (c, a, b) => tf.where(tf.greater(c!, 0) as Tensor, a!, b!) },
]

const cube = [[2, 3, 4]] as const
const REDUCTIONS: KernelCase[] = [
  { kernel: 'Sum', shapes: cube, run: (x) => tf.sum(x, [0, 2]) },
  { kernel: 'Sum', title: 'over everything', shapes: cube, run: (x) => tf.sum(x) },
  { kernel: 'Mean', shapes: cube, run: (x) => tf.mean(x, -1, true) },
  { kernel: 'Max', shapes: cube, run: (x) => tf.max(x, 1) },
  { kernel: 'Max', title: 'over the last axis, kept', shapes: cube, run: (x) => tf.max(x, -1, true) },
  { kernel: 'Min', shapes: cube, run: (x) => tf.min(x, 1) },
  { kernel: 'Prod', shapes: cube, run: (x) => tf.prod(x, 1) },
  { kernel: 'Any', shapes: cube, run: (x) => tf.any(tf.greater(x, 0.6), 1) },
  { kernel: 'All', shapes: cube, run: (x) => tf.all(tf.greater(x, -0.6), 1) },
  { kernel: 'ArgMax', shapes: cube, run: (x) => tf.argMax(x, 1) },
]

const SHAPING: KernelCase[] = [
  { kernel: 'Reshape', shapes: cube, run: (x) => tf.reshape(x, [4, -1]) },
  { kernel: 'ExpandDims', shapes: cube, run: (x) => tf.mul(tf.expandDims(x, -1), tf.ones([5])) },
  { kernel: 'Transpose', shapes: cube, run: (x) => tf.transpose(x, [2, 0, 1]) },
  { kernel: 'Slice', shapes: cube, run: (x) => tf.slice(x, [0, 1, 1], [-1, 2, 2]) },
  {
    kernel: 'PadV2',
    shapes: cube,
    run: (x) =>
      tf.pad(
        x,
        [
          [0, 1],
          [2, 0],
          [1, 1],
        ],
        0.5,
      ),
  },
  {
    kernel: 'Concat',
    shapes: [
      [2, 3],
      [2, 1],
      [2, 2],
    ],
    run: (...parts) => tf.concat(parts, 1),
  },
  { kernel: 'Pack', shapes: pair, run: (...parts) => tf.stack(parts, -1) },
  { kernel: 'SplitV', shapes: cube, run: (x) => tf.split(x, [1, 3], 2) },
  { kernel: 'Unpack', shapes: cube, run: (x) => tf.unstack(x, 1) },
  { kernel: 'Tile', shapes: cube, run: (x) => tf.tile(x, [1, 2, 3]) },
  { kernel: 'Tile', title: 'of dimensions of one', shapes: [[1, 1, 4]], run: (x) => tf.tile(x, [2, 3, 1]) },
  { kernel: 'GatherV2', shapes: cube, run: (x) => tf.gather(x, tf.tensor1d([2, 0], 'int32'), 1) },
  { kernel: 'OneHot', shapes: matrix, run: (x) => tf.oneHot(tf.argMax(x, 1), 4) },
]

const PRODUCTS: KernelCase[] = [false, true].flatMap((transposeA) =>
  [false, true].flatMap((transposeB): KernelCase[] => {
    const title = `${transposeA ? 'A transposed' : 'A plain'}, ${transposeB ? 'B transposed' : 'B plain'}`
    const a = transposeA ? [3, 2] : [2, 3]
    const b = transposeB ? [5, 3] : [3, 5]
    const run = (x: Tensor, y: Tensor): Tensor => tf.matMul(x as never, y as never, transposeA, transposeB)
    return [
      { kernel: 'BatchMatMul', title: `matrices, ${title}`, shapes: [a, b], run: (x, y) => run(x!, y!) },
      {
        kernel: 'BatchMatMul',
        title: `stacks, ${title}`,
        shapes: [
          [4, ...a],
          [4, ...b],
        ],
        run: (x, y) => run(x!, y!),
      },
      {
        kernel: 'BatchMatMul',
        title: `stacks over [4, 2], ${title}`,
        shapes: [
          [4, 2, ...a],
          [4, 2, ...b],
        ],
        run: (x, y) => run(x!, y!),
      },
    ]
  }),
)

const ORDERING: readonly KernelCase[] = [
  { kernel: 'Barrier', shapes: [[2, 3], [3]], run: (x, y) => barrier(x!, [y!]) },
  {
    kernel: 'Barrier',
    title: 'after values that are no numbers',
    shapes: [[2, 3], [4, 2], []],
    run: (x, y, z) => barrier(x!, [tf.log(tf.sub(tf.neg(tf.abs(y!)), 1)), z!, tf.div(1, tf.sub(z!, z!))]),
  },
]

const KERNEL_CASES: readonly KernelCase[] = [
  ...UNARY,
  ...BINARY,
  ...MORE_ELEMENTWISE,
  ...REDUCTIONS,
  ...SHAPING,
  ...PRODUCTS,
  ...ORDERING,
]

function stepOf(kernelCase: KernelCase, gradient: boolean): Step {
  const names = kernelCase.shapes.map((_, i) => `x${i}`)
  const forward = (inputs: Tensor[]): Tensor[] => [kernelCase.run(...inputs)].flat()
  return {
    name: `${kernelCase.kernel}${gradient ? ' gradient' : ''}`,
    signature: { state: {}, batch: Object.fromEntries(names.map((name, i) => [name, kernelCase.shapes[i]!])), scalars: [] },
    run: (_, batch) => {
      const inputs = names.map((name) => batch[name]!)
      if (!gradient) return { state: {}, outputs: Object.fromEntries(forward(inputs).map((y, i) => [`y${i}`, y])) }
      // Weighted by a ramp, so that the gradient of a sum is not trivially one.
      const loss = (...xs: Tensor[]): Tensor => {
        const y = tf.concat(forward(xs).map((part) => tf.reshape(part, [-1])))
        return tf.sum(tf.mul(y, tf.range(1, y.size + 1)))
      }
      const grads = tf.grads(loss as never)(inputs)
      return { state: {}, outputs: Object.fromEntries(grads.map((dx, i) => [`dx${i}`, dx])) }
    },
  }
}

async function expectSameAsEager(engine: EngineName, kernelCase: KernelCase, gradient: boolean): Promise<void> {
  const step = stepOf(kernelCase, gradient)
  const [low, high] = kernelCase.range ?? [-1, 1]
  const batch = Object.fromEntries(
    Object.entries(step.signature.batch).map(([name, shape], i) => [
      name,
      filler(shape, 11 + i, (high - low) / 2, (high + low) / 2),
    ]),
  )
  const results = []
  for (const each of ['eager', engine] as const) {
    const session = await createExecutor(each, { threads: 1 }).load(step, {})
    results.push(await session.run(batch, {}))
    await session.dispose()
  }
  const [eager, compiled] = results
  expect(Object.keys(compiled!)).toEqual(Object.keys(eager!))
  for (const [name, expected] of Object.entries(eager!)) {
    expect(expected.length).toBeGreaterThan(0)
    expect(compiled![name]!.length).toBe(expected.length)
    const bound = kernelCase.tolerance ?? 2e-6
    expected.forEach((value, i) => {
      expect(Math.abs(compiled![name]![i]! - value), `${name}[${i}]: ${compiled![name]![i]} for ${value}`).toBeLessThanOrEqual(
        bound * Math.max(1, Math.abs(value)),
      )
    })
  }
}

const titleOf = ({ kernel, title }: KernelCase): string => (title ? `${kernel}, ${title}` : kernel)

const COMPILED = ['onnx', 'tensorflow'] as const
const stands = (engine: EngineName): boolean => engine !== 'tensorflow' || tensorflowBuild() !== null

describe.each(COMPILED)('each kernel lowered to %s gives the values of the eager backend within 2e-6', (engine) => {
  beforeEach(({ skip }) => skip(!stands(engine), 'until npm run engine:tensorflow'))

  it.each(KERNEL_CASES.map((each) => [titleOf(each), each] as const))('%s', async (_, kernelCase) => {
    await expectSameAsEager(engine, kernelCase, false)
  })
})

describe('the kernels above', () => {
  it('cover every kernel that can be traced', () => {
    const covered = new Set(KERNEL_CASES.map(({ kernel }) => kernel))
    expect(TRACEABLE_KERNELS.filter((kernel) => !covered.has(kernel))).toEqual([])
  })
})

const WITHOUT_GRADIENT = new Set([
  'LogicalNot',
  'Cast',
  'Fill',
  'Range',
  'Equal',
  'NotEqual',
  'Greater',
  'GreaterEqual',
  'Less',
  'LessEqual',
  'LogicalAnd',
  'LogicalOr',
  'Any',
  'All',
  'ArgMax',
  'OneHot',
  'Ceil',
  'Floor',
  'Round',
  'Sign',
  'Step',
  'AddN',
  'Barrier',
  // Needs a cumulative product.
  'Prod',
  // Its tfjs gradient is an UnsortedSegmentSum, which no step uses.
  'GatherV2',
])
/** Where tfjs itself has no gradient: of the condition, and of these kernels with a broadcast operand. */
const UNSUPPORTED_BY_TFJS = (kernelCase: KernelCase): boolean =>
  kernelCase.kernel === 'Select' ||
  (['Maximum', 'Minimum', 'SquaredDifference'].includes(kernelCase.kernel) && kernelCase.title === 'broadcasting') ||
  (kernelCase.kernel === 'BatchMatMul' && kernelCase.shapes[0]!.length > 3)
const DIFFERENTIABLE = KERNEL_CASES.filter((each) => !WITHOUT_GRADIENT.has(each.kernel) && !UNSUPPORTED_BY_TFJS(each))

describe.each(COMPILED)('the traced gradient of each differentiable kernel on %s is that of the eager backend', (engine) => {
  beforeEach(({ skip }) => skip(!stands(engine), 'until npm run engine:tensorflow'))

  it.each(DIFFERENTIABLE.map((each) => [titleOf(each), each] as const))('%s', async (_, kernelCase) => {
    await expectSameAsEager(engine, { ...kernelCase, tolerance: 1e-5 }, true)
  })
})

describe('kernels written by hand into a step', () => {
  it('runs a kernel that has no gradient op through runKernel', async () => {
    await expectSameAsEager('onnx', { kernel: 'Square', shapes: matrix, run: (x) => kernelOf('Square')(x!) }, false)
  })

  it('keeps a constant that the step closes over usable by the eager engine afterwards', async () => {
    const table = tf.tensor2d([
      [1, 2],
      [3, 4],
    ])
    const step: Step = {
      name: 'closure',
      signature: { state: {}, batch: { x: [2, 2] }, scalars: [] },
      run: (_, { x }) => ({ state: {}, outputs: { y: tf.matMul(x as never, table) } }),
    }
    expect(compileStep(step).model.inputs).toEqual(['batch:x'])
    const session = await createExecutor('eager', { threads: 1 }).load(step, {})
    const { y } = await session.run({ x: Float32Array.of(1, 0, 0, 2) }, {})
    expect([...y!]).toEqual([1, 2, 6, 8])
    await session.dispose()
    table.dispose()
  })
})
