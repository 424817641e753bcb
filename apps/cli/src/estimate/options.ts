/** Options of the estimate, as `--dry-run` takes them. */
import { InvalidArgumentError } from 'commander'
import type { DatasetSize } from '#libs/experiments'

export interface EstimateOptions {
  /** Of one device, 10^12 operations a second that training really reaches. */
  readonly teraflops: number
  /** Of one device for one hour, in any currency; null: no cost is told. */
  readonly price: number | null
  /** Images of data sets that are not the published ones. */
  readonly sizes: ReadonlyMap<string, DatasetSize>
}

/** The authors train ViT-Tiny on one A100 at 7 to 8.6 steps of 64 images a second: about 9 TFLOP/s of 17.8 GFLOP an image. */
export const DEFAULT_TERAFLOPS = 9

export function positiveNumber(text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('not a positive number')
  return value
}

/** Adds `nih=435/62/124` (training, validation and test images) to what was given before. */
export function datasetImages(
  text: string,
  before: ReadonlyMap<string, DatasetSize> = new Map(),
): ReadonlyMap<string, DatasetSize> {
  const found = /^([^=]+)=(\d+)\/(\d+)\/(\d+)$/.exec(text)
  if (!found) throw new InvalidArgumentError('not of the form NAME=TRAIN/VALIDATION/TEST')
  const [, name, train, validation, test] = found
  return new Map(before).set(name!, { train: Number(train), validation: Number(validation), test: Number(test) })
}
