/** Readers by kind of data set. */
import type { DatasetKind } from '#libs/experiments'
import { SpecError } from '#libs/training'
import { mimicReader } from './mimic/mimic-reader.ts'
import { nih14Reader } from './nih14/nih14-reader.ts'
import type { DatasetReader } from './record.ts'

export const DATASET_READERS: Readonly<Partial<Record<DatasetKind, DatasetReader>>> = {
  'mimic-cxr': mimicReader,
  nih14: nih14Reader,
}

/** @throws SpecError where there is no reader for that kind. */
export function readerOf(kind: DatasetKind): DatasetReader {
  const reader = DATASET_READERS[kind]
  if (!reader) throw new SpecError(`no reader for "${kind}" yet`, { field: 'kind' })
  return reader
}
