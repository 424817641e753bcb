/** A registered data set, opened: its files and those of its options. */
import { basename, dirname, isAbsolute } from 'node:path'
import { openObjectStore, type S3StoreOptions, StoreAccessError } from '#libs/artifacts'
import {
  type DatasetKind,
  type DatasetOptions,
  datasetOptionProblems,
  isObjectAddress,
  NO_DATASET_OPTIONS,
} from '#libs/experiments'
import { SpecError } from '#libs/training'
import type { DatasetFiles } from './files/dataset-files.ts'
import { folderFiles } from './files/folder-files.ts'
import { objectFiles } from './files/object-files.ts'

/** Where a data set lies, as it was registered. Folders are absolute; `s3://bucket/prefix` is an object store. */
export interface DatasetAddress {
  readonly kind: DatasetKind
  readonly root: string
  /** Absent: none. */
  readonly options?: DatasetOptions
}

/** What opens addresses that are no folders. */
export interface DatasetAccess {
  readonly s3?: S3StoreOptions
}

export interface DatasetSource {
  readonly root: DatasetFiles
  readonly mimicIv: DatasetFiles | null
  /** The user's split table. */
  readonly split: { readonly files: DatasetFiles; readonly file: string } | null
  readonly options: DatasetOptions
}

/**
 * Runs `work` with the data set's files and removes local copies afterwards.
 * @throws SpecError where an option contradicts the kind, or an address is no absolute folder and no reachable store.
 */
export async function withSource<T>(
  { kind, root, options = NO_DATASET_OPTIONS }: DatasetAddress,
  access: DatasetAccess,
  work: (source: DatasetSource) => Promise<T>,
): Promise<T> {
  const [problem] = datasetOptionProblems(kind, options)
  if (problem) throw new SpecError(problem.message, { field: problem.field })
  const opened: DatasetFiles[] = []
  const open = async (address: string, field: string) => {
    const files = await openFiles(address, field, access)
    opened.push(files)
    return files
  }
  try {
    return await work({
      root: await open(root, 'root'),
      mimicIv: options.mimicIv === null ? null : await open(options.mimicIv, 'mimicIv'),
      split: options.split === null ? null : await openSplit(options.split, open),
      options,
    })
  } finally {
    for (const files of opened) await files.close()
  }
}

async function openSplit(address: string, open: (address: string, field: string) => Promise<DatasetFiles>) {
  if (!isObjectAddress(address)) return { files: await open(dirname(address), 'split'), file: basename(address) }
  const at = address.lastIndexOf('/')
  return { files: await open(address.slice(0, at), 'split'), file: address.slice(at + 1) }
}

async function openFiles(address: string, field: string, { s3 }: DatasetAccess): Promise<DatasetFiles> {
  if (!isObjectAddress(address)) {
    if (!isAbsolute(address)) throw new SpecError('the folder is not absolute', { field })
    return folderFiles(address, field)
  }
  try {
    return objectFiles(await openObjectStore(address, s3 ? { s3 } : {}))
  } catch (error) {
    if (error instanceof StoreAccessError) throw new SpecError(error.message, { field }, { cause: error })
    throw error
  }
}
