/** Labels of NIH ChestX-ray14 (Wang et al. 2017), in the order of docs/method.md. */
export const NIH14_LABELS = [
  'Atelectasis',
  'Cardiomegaly',
  'Consolidation',
  'Edema',
  'Effusion',
  'Emphysema',
  'Fibrosis',
  'Hernia',
  'Infiltration',
  'Mass',
  'Nodule',
  'Pleural_Thickening',
  'Pneumonia',
  'Pneumothorax',
] as const

/** Stands alone in the table: none of the fourteen. */
export const NO_FINDING = 'No Finding'
