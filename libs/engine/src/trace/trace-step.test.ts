import { describe, expect, it } from 'vitest'
import { type Step, type TensorMap, tf } from '#libs/msn'
import { StepContractError, UnknownKernelError, ValueReadError } from '../errors.ts'
import { lowerToOnnx } from '../onnx/lower.ts'
import { optimise } from '../passes/optimise.ts'
import { regressionStep } from '../testing.ts'
import { traceStep } from './trace-step.ts'

type Tensor = TensorMap[string]

/** A step on one batch tensor `x` [2, 3]. */
function stepOf(run: (x: Tensor) => Record<string, Tensor>): Step {
  return {
    name: 'probe',
    signature: { state: {}, batch: { x: [2, 3] }, scalars: [] },
    run: (_, { x }) => ({ state: {}, outputs: run(x!) }),
  }
}

describe('traceStep', () => {
  it('records the operations of a step with named inputs and outputs', () => {
    const { program, updated, outputs } = traceStep(stepOf((x) => ({ y: tf.mul(tf.exp(x), 2) })))
    expect(program.ops.map(({ kind }) => kind)).toEqual(['Exp', 'Multiply'])
    expect(Object.keys(program.inputs)).toEqual(['batch:x'])
    expect(Object.keys(program.outputs)).toEqual(['output:y'])
    expect(program.values[program.outputs['output:y']!]).toEqual({ shape: [2, 3], dtype: 'float32' })
    expect({ updated, outputs }).toEqual({ updated: [], outputs: ['y'] })
  })

  it('tells changed state entries from those that a step hands through', () => {
    expect(traceStep(regressionStep).updated).toEqual(['weight', 'bias'])
  })

  it('leaves the tfjs backend and its tensors as they were', () => {
    tf.setBackend('cpu')
    const before = tf.memory().numTensors
    traceStep(regressionStep)
    expect(tf.getBackend()).toBe('cpu')
    expect(tf.memory().numTensors).toBe(before)
  })

  it('restores the backend after a step that throws', () => {
    tf.setBackend('cpu')
    const failing = stepOf(() => {
      throw new RangeError('no')
    })
    expect(() => traceStep(failing)).toThrow(new RangeError('no'))
    expect(tf.getBackend()).toBe('cpu')
    expect(traceStep(regressionStep).outputs).toEqual(['loss'])
  })

  it('keeps a filled array as one number, whatever its size', () => {
    const step = stepOf((x) => ({ y: tf.add(tf.sum(tf.ones([1000, 1000])), tf.sum(x)) }))
    const { program } = traceStep(step)
    expect(program.values.filter(({ shape }) => shape.length === 2 && shape[0] === 1000).map(({ literal }) => literal)).toEqual([
      { kind: 'splat', value: 1 },
    ])
    expect(lowerToOnnx(program, 'probe').bytes.length).toBeLessThan(1000)
  })

  it('does not write the gradient of a mean over a large array as an array of ones', () => {
    const step: Step = {
      name: 'large mean',
      signature: { state: {}, batch: { x: [500, 500] }, scalars: [] },
      run: (_, { x }) => ({ state: {}, outputs: { dx: tf.grad((x) => tf.mean(tf.square(x)))(x!) } }),
    }
    expect(lowerToOnnx(optimise(traceStep(step).program), 'large mean').bytes.length).toBeLessThan(2000)
  })
})

describe('traceStep refuses', () => {
  it('a step that reads a result, naming the kernel and its shape', () => {
    const reading = stepOf((x) => ({ y: tf.scalar(tf.mean(x, 1).dataSync()[0]!) }))
    expect(() => traceStep(reading)).toThrow(ValueReadError)
    expect(() => traceStep(reading)).toThrow('the result of the kernel Mean of shape [2]')
  })

  it('a step that reads an input, naming it', () => {
    expect(() => traceStep(stepOf((x) => ({ y: tf.scalar(x.dataSync()[0]!) })))).toThrow('the input batch:x of shape [2, 3]')
  })

  it('a kernel without a rule, naming it', () => {
    const step = stepOf((x) => ({ y: tf.cumsum(x, 1) }))
    expect(() => traceStep(step)).toThrow(UnknownKernelError)
    expect(() => traceStep(step)).toThrow('kernel Cumsum')
  })

  it('a kernel that no backend knows, naming it', () => {
    const step = stepOf((x) => ({ y: tf.engine().runKernel('NoSuchKernel', { x }) as Tensor }))
    expect(() => traceStep(step)).toThrow(UnknownKernelError)
    expect(() => traceStep(step)).toThrow('kernel NoSuchKernel')
  })

  it('a tensor that another trace left over', () => {
    let left: Tensor | undefined
    const leaking = stepOf((x) => {
      left = tf.keep(tf.exp(x))
      return { y: left }
    })
    traceStep(leaking)
    expect(() => traceStep(stepOf((x) => ({ y: tf.add(x, left!) })))).toThrow('left over from another trace')
  })

  it.each([
    ['an entry that the signature lacks', (x: Tensor) => ({ other: x }), 'returns the state entry other'],
    ['an entry of another shape', (x: Tensor) => ({ w: tf.sum(x, 0) }), 'returns w as float32 [3] in place of float32 [2, 3]'],
    ['an entry of another type', (x: Tensor) => ({ w: tf.cast(x, 'int32') }), 'returns w as int32 [2, 3]'],
  ])('a step that returns %s', (_, state, message) => {
    const step: Step = {
      name: 'probe',
      signature: { state: { w: [2, 3] }, batch: {}, scalars: [] },
      run: ({ w }) => ({ state: state(w!) as TensorMap, outputs: {} }),
    }
    expect(() => traceStep(step)).toThrow(StepContractError)
    expect(() => traceStep(step)).toThrow(message)
  })
})
