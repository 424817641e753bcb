/** What the pretraining loop asks of a method. The loop itself knows no model. */
import type { StateArrays, Step } from '#libs/msn'
import type { GreyViews, ViewBatch } from './ports.ts'

/** Where in the schedule a step lies; all counts start at 0. */
export interface StepPosition {
  readonly step: number
  readonly epoch: number
  readonly stepsPerEpoch: number
}

export const positionAt = (step: number, stepsPerEpoch: number): StepPosition => ({
  step,
  epoch: Math.floor(step / stepsPerEpoch),
  stepsPerEpoch,
})

export interface PretrainLearner {
  readonly step: Step
  /** Outputs of the step that must stay finite; the first is the loss that selects checkpoints. */
  readonly watched: readonly [string, ...string[]]
  initialState(): StateArrays
  /** Views and random draws of one step as the arrays of the step's signature; pure in (views, position). */
  batch(views: ViewBatch, position: StepPosition): Record<string, Float32Array>
  scalars(position: StepPosition): Record<string, number>
  /** Schedule values worth a curve of their own (learning rate, momentum, ...). */
  scheduleMetrics(position: StepPosition): Record<string, number>
  /**
   * The same pass on the same state, batch and scalars without any update, handing out what it computes on its way, and the
   * names of that in the order in which they are computed (gradients as `grad.<parameter>`). For naming what went bad first.
   */
  readonly probe?: { readonly step: Step; readonly order: readonly string[] }
}

/** The views of a group that the spec's plan has; a batch without it is no batch of this spec. */
export function groupOf(views: ViewBatch['views'], name: string): GreyViews {
  const group = views[name]
  if (!group) throw new RangeError(`the batch has no ${name} views`)
  return group
}
