/** The fourteen labels that CheXpert's labeller gives (Irvin et al. 2019), in the order of docs/method.md: MIMIC-CXR-JPG's own. */
import type { PrepareSpec } from '#libs/experiments'
import { MISSING } from './record.ts'

export const CHEXPERT_LABELS = [
  'Atelectasis',
  'Cardiomegaly',
  'Consolidation',
  'Edema',
  'Enlarged Cardiomediastinum',
  'Fracture',
  'Lung Lesion',
  'Lung Opacity',
  'No Finding',
  'Pleural Effusion',
  'Pleural Other',
  'Pneumonia',
  'Pneumothorax',
  'Support Devices',
] as const

/** Code of a label that the labeller calls uncertain (-1). */
export function uncertainCode(policy: PrepareSpec['uncertain']): number {
  switch (policy) {
    case 'zeros':
      return 0
    case 'ones':
      return 1
    case 'ignore':
      return MISSING
  }
}
