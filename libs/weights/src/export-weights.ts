/** The file that leaves the lab. */
import { encodeSafetensors } from '#libs/artifacts'
import { describeWeights } from './describe.ts'
import type { LoadedWeights } from './load-for-export.ts'
import { onnxEncoder } from './onnx-encoder.ts'

export const WEIGHT_FORMATS = ['safetensors', 'onnx'] as const
export type WeightFormat = (typeof WEIGHT_FORMATS)[number]

/** @param version of this service, for the file's metadata */
export function exportWeights({ tensors, origin }: LoadedWeights, format: WeightFormat, version: string): Uint8Array {
  const metadata = describeWeights({ ...origin, version })
  return format === 'onnx' ? onnxEncoder(origin.backbone, tensors, metadata) : encodeSafetensors(tensors, metadata)
}
