/** A golden case: a step with its inputs and the numbers that any executor must give. */
import { AssertionError } from 'node:assert'
import type { Executor } from '#libs/engine'
import type { StateArrays, Step } from '#libs/msn'

/** What an array must look like. `length` values from `from` on are meant; the rest of the array is not looked at. */
export type Expectation =
  /** Every value within `bound`. */
  | { readonly kind: 'values'; readonly values: readonly number[]; readonly bound: number }
  /** Euclidean distance of the listed values within `share` of `norm`, the whole tensor's norm. */
  | { readonly kind: 'direction'; readonly values: readonly number[]; readonly norm: number; readonly share: number }
  /** The array's norm within `share` of `norm`. */
  | { readonly kind: 'norm'; readonly norm: number; readonly share: number }
  /** Mathematically zero: the norm of the part stays below `bound`. */
  | { readonly kind: 'vanishing'; readonly from: number; readonly to: number; readonly bound: number }

export interface GoldenRun {
  readonly batch: Readonly<Record<string, Float32Array>>
  readonly scalars: Readonly<Record<string, number>>
  readonly outputs: Readonly<Record<string, readonly Expectation[]>>
}

export interface GoldenCase {
  readonly name: string
  readonly step: Step
  readonly state: StateArrays
  /** In order, on one session. */
  readonly runs: readonly GoldenRun[]
  /** State after the last run. */
  readonly after: Readonly<Record<string, readonly Expectation[]>>
}

/** The largest deviation of a case as a share of its bound (1: just allowed), and where it lies. */
export interface Deviation {
  readonly share: number
  readonly where: string
  readonly checks: number
}

const norm = (values: readonly number[]): number => Math.hypot(...values)

/** The deviation as a share of the allowed one. */
function deviation(actual: Float32Array, expected: Expectation): number {
  switch (expected.kind) {
    case 'values':
      return Math.max(...expected.values.map((value, i) => Math.abs(value - (actual[i] ?? Number.NaN)))) / expected.bound
    case 'direction':
      return norm(expected.values.map((value, i) => value - (actual[i] ?? Number.NaN))) / (expected.share * expected.norm)
    case 'norm':
      return Math.abs(norm([...actual]) - expected.norm) / (expected.share * expected.norm)
    case 'vanishing':
      return norm([...actual.subarray(expected.from, expected.to)]) / expected.bound
  }
}

/**
 * Runs a case and compares everything it expects.
 * @throws AssertionError listing every deviation beyond its bound, missing output and value that is no number
 */
export async function checkCase(golden: GoldenCase, executor: Executor): Promise<Deviation> {
  const failures: string[] = []
  let worst: Deviation = { share: 0, where: 'nothing', checks: 0 }
  const compare = (where: string, actual: Float32Array | undefined, expectations: readonly Expectation[]): void => {
    for (const expected of expectations) {
      const share = actual ? deviation(actual, expected) : Number.NaN
      worst = { ...(share > worst.share ? { share, where } : worst), checks: worst.checks + 1 }
      if (!(share <= 1)) failures.push(`${where}: ${expected.kind} deviates by ${share} of what is allowed`)
    }
  }
  const session = await executor.load(golden.step, golden.state)
  try {
    for (const [n, run] of golden.runs.entries()) {
      const outputs = await session.run(run.batch, run.scalars)
      for (const [name, expectations] of Object.entries(run.outputs)) compare(`run ${n}, ${name}`, outputs[name], expectations)
    }
    const state = session.readState()
    for (const [name, expectations] of Object.entries(golden.after)) compare(`after, ${name}`, state[name], expectations)
  } finally {
    await session.dispose()
  }
  if (failures.length > 0) throw new AssertionError({ message: `${golden.name}\n${failures.join('\n')}` })
  if (worst.checks === 0) throw new AssertionError({ message: `${golden.name} checks nothing` })
  return worst
}
