/** The port that training loops run steps through. */
import type { StateArrays, Step } from '#libs/msn'

export const ENGINES = ['eager', 'onnx', 'tensorflow'] as const
export type EngineName = (typeof ENGINES)[number]

export interface ExecutorOptions {
  /** Threads of one session. */
  readonly threads: number
  /** Of matrix products; everything else computes in float32. Default float32; bfloat16 is for TensorFlow alone. */
  readonly precision?: 'float32' | 'bfloat16'
  /** Whether XLA compiles the step. Default off; for TensorFlow alone. */
  readonly xla?: 'off' | 'on'
  /** Folder for compiled programs; null or absent: none are kept. For ONNX Runtime alone. */
  readonly programCacheFolder?: string | null
}

/** One loaded step with its state inside. Not for concurrent use. */
export interface Session {
  /** Runs the step once and keeps the new state. Float32 arrays must have the sizes of the signature. */
  run(
    batch: Readonly<Record<string, Float32Array>>,
    scalars: Readonly<Record<string, number>>,
  ): Promise<Record<string, Float32Array>>
  /** A copy of the state, or of the named entries. */
  readState(names?: readonly string[]): StateArrays
  /** Replaces the named entries; sizes are checked. */
  writeState(state: Readonly<StateArrays>): void
  dispose(): Promise<void>
}

export interface Executor {
  readonly name: EngineName
  /** Traces and compiles `step` and seeds its state; `state` must hold every entry of the signature. */
  load(step: Step, state: Readonly<StateArrays>): Promise<Session>
}
