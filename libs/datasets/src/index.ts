export { fingerprintDataset } from './fingerprint.ts'
export { NIH14_LABELS } from './nih14/labels.ts'
export { DATASET_READERS, readerOf } from './readers.ts'
export * from './record.ts'
