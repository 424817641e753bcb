import { EvaluationInputError } from './errors.ts'

export interface MeanAndStd {
  readonly mean: number
  /** Sample standard deviation (n - 1); null for a single value. */
  readonly std: number | null
  readonly count: number
}

/** Mean and standard deviation over seeds. At least one value. */
export function meanAndStd(values: readonly number[]): MeanAndStd {
  if (values.length === 0) throw new EvaluationInputError('a mean of no values')
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  if (values.length === 1) return { mean, std: null, count: 1 }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, std: Math.sqrt(squares / (values.length - 1)), count: values.length }
}
