/** The shape of a training or inference step: a pure function on tensors that knows no backend and reads no value. */
import type { Tensor } from '@tensorflow/tfjs'

export type TensorMap = Record<string, Tensor>
export type StateArrays = Record<string, Float32Array>
export type Shape = readonly number[]

/**
 * `state` in, new `state` out, with what the caller reads back in `outputs`. State entries that are left out of the returned
 * `state` stay as they were (constants to this step). Batch tensors are float32; scalars are float32 tensors of shape [].
 */
export type StepFunction = (state: TensorMap, batch: TensorMap, scalars: TensorMap) => { state: TensorMap; outputs: TensorMap }

/** Everything an executor must know to feed a step. */
export interface StepSignature {
  readonly state: Readonly<Record<string, Shape>>
  readonly batch: Readonly<Record<string, Shape>>
  readonly scalars: readonly string[]
}

/** A step ready to be loaded: the function with its signature. `name` is for logs and cache keys. */
export interface Step {
  readonly name: string
  readonly signature: StepSignature
  readonly run: StepFunction
}
