/** Bounds of the golden files (float32 against float64) and the tensors whose gradient is zero by mathematics. */
import type { Expectation } from './golden-case.ts'
import type { OriginalStep, PaperStep, Rows } from './msn-golden-files.ts'

/** Forward values, losses and parameters. */
const FORWARD_BOUND = 1e-5
/** Gradients, relative to the tensor's norm. */
const GRADIENT_SHARE = 1e-4
const VANISHING_BOUND = 1e-5

export const near = (...values: number[]): Expectation[] => [{ kind: 'values', values, bound: FORWARD_BOUND }]
export const nearRows = (rows: Rows): Expectation[] => near(...rows.flat())

export function gradientRows(rows: Rows): Expectation[] {
  const values = rows.flat()
  return [{ kind: 'direction', values, norm: Math.hypot(...values), share: GRADIENT_SHARE }]
}

export const nearNorm = (norm: number): Expectation[] => [{ kind: 'norm', norm, share: GRADIENT_SHARE }]

/** The golden lists name whole tensors, and the key third of qkv.bias by a sentence. */
export const isZeroGradient = (name: string, listed: readonly string[]): boolean => listed.includes(name)

/** Expectations of one parameter's gradient. @param size of the tensor */
function gradientOf(name: string, size: number, step: OriginalStep | PaperStep, listed: readonly string[]): Expectation[] {
  if (isZeroGradient(name, listed)) return [{ kind: 'vanishing', from: 0, to: size, bound: VANISHING_BOUND }]
  const expectations: Expectation[] = []
  const norm = step.gradNorms?.[name]
  if (norm !== undefined) expectations.push(...nearNorm(norm))
  const first = step.gradFirst8?.[name]
  if (first && norm !== undefined) expectations.push({ kind: 'direction', values: first, norm, share: GRADIENT_SHARE })
  if (name.endsWith('attn.qkv.bias')) {
    expectations.push({ kind: 'vanishing', from: size / 3, to: (2 * size) / 3, bound: VANISHING_BOUND })
  }
  return expectations
}

/** Expectations of `grad.<name>` for every parameter. @param ownName of a golden file's parameter name */
export function gradients(
  parameters: readonly { readonly name: string; readonly shape: readonly number[] }[],
  step: OriginalStep | PaperStep,
  listed: readonly string[],
  ownName: (name: string) => string,
): Record<string, readonly Expectation[]> {
  const sizeOf = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1)
  return Object.fromEntries(
    parameters.map(({ name, shape }) => [`grad.${ownName(name)}`, gradientOf(name, sizeOf(shape), step, listed)]),
  )
}

/** Expectations that both golden files have for a training step. */
export function stepOutputs(step: OriginalStep | PaperStep, smaller: number): Record<string, readonly Expectation[]> {
  const outputs: Record<string, readonly Expectation[]> = {
    loss: near(step.loss),
    ce: near(step.ce),
    memax: near(step.memax),
    entropy: near(step.entropy),
    distinct: near(step.distinctPrototypes / smaller),
    maxT: near(step.meanMaxTarget),
  }
  for (const name of ['z', 'zTarget', 't', 'p', 'headInput'] as const) {
    const rows = step[name]
    if (rows) outputs[name] = nearRows(rows)
  }
  return outputs
}
