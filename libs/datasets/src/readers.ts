/** Readers by kind of data set. */
import type { DatasetKind } from '#libs/experiments'
import { chexpertReader } from './chexpert/chexpert-reader.ts'
import { mimicReader } from './mimic/mimic-reader.ts'
import { nih14Reader } from './nih14/nih14-reader.ts'
import type { DatasetReader } from './record.ts'

const DATASET_READERS: Readonly<Record<DatasetKind, DatasetReader>> = {
  'mimic-cxr': mimicReader,
  nih14: nih14Reader,
  chexpert: chexpertReader,
}

export const readerOf = (kind: DatasetKind): DatasetReader => DATASET_READERS[kind]
