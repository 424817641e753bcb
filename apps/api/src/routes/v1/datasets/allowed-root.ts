/** Only addresses inside the configured roots may be registered: the service would otherwise read any file for any caller. */
import { realpath, stat } from 'node:fs/promises'
import { isAbsolute, relative } from 'node:path'
import { isBelowObject, isObjectAddress } from '#libs/experiments'
import { invalidField } from '../../../errors.ts'

export interface Asked {
  readonly address: string
  /** Field of the body, for messages. */
  readonly field: 'root' | 'mimicIv' | 'split'
}

/**
 * The real path of a folder (of a file, for `split`), links followed on both sides; an s3:// address as it is.
 * @throws HttpProblem 422 where it is not absolute, not there, or outside. Whether something outside exists is not told.
 */
export async function allowedAddress({ address, field }: Asked, allowed: readonly string[]): Promise<string> {
  const refuse = (code: string, message: string) => invalidField(`/${field}`, code, message)
  const outside = () =>
    refuse('root-outside', `"${address}" does not lie inside a folder that this server allows (DATASET_ROOTS)`)
  if (!isAbsolute(address) && !isObjectAddress(address)) {
    throw refuse('root-not-absolute', `"${address}" is neither an absolute folder nor an s3:// address`)
  }
  if (allowed.length === 0) throw refuse('root-outside', 'this server allows no data-set folders: DATASET_ROOTS is empty')
  if (isObjectAddress(address)) {
    if (!allowed.some((base) => isObjectAddress(base) && isBelowObject(base, address))) throw outside()
    return address
  }
  const real = await realpath(address).catch(() => undefined)
  if (!(await realBases(allowed)).some((base) => isInside(base, real ?? address))) throw outside()
  const found = real === undefined ? undefined : await stat(real)
  if (real !== undefined && (field === 'split' ? found?.isFile() : found?.isDirectory())) return real
  throw refuse('root-missing', `"${address}" is not a ${field === 'split' ? 'file' : 'folder'}`)
}

async function realBases(allowed: readonly string[]): Promise<string[]> {
  const folders = allowed.filter((base) => !isObjectAddress(base))
  const real = await Promise.all(folders.map((base) => realpath(base).catch(() => undefined)))
  return real.filter((base) => base !== undefined)
}

function isInside(base: string, path: string): boolean {
  const way = relative(base, path)
  return way === '' || !(way === '..' || way.startsWith('../') || isAbsolute(way))
}
