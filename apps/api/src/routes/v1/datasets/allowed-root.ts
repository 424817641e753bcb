/** Only folders inside the configured roots may be registered: the service would otherwise read any file for any caller. */
import { realpath, stat } from 'node:fs/promises'
import { isAbsolute, relative } from 'node:path'
import { invalidField } from '../../../errors.ts'

/**
 * The real path of `root`, links followed on both sides.
 * @throws HttpProblem 422 where it is not absolute, not a folder, or outside. Whether a folder outside exists is not told.
 */
export async function allowedRoot(root: string, allowed: readonly string[]): Promise<string> {
  if (!isAbsolute(root)) throw invalidField('/root', 'root-not-absolute', `"${root}" is not an absolute folder`)
  if (allowed.length === 0)
    throw invalidField('/root', 'root-outside', 'this server allows no data-set folders: DATASET_ROOTS is empty')
  const real = await realpath(root).catch(() => undefined)
  const bases = (await Promise.all(allowed.map((base) => realpath(base).catch(() => undefined)))).filter(
    (base) => base !== undefined,
  )
  if (!bases.some((base) => isInside(base, real ?? root))) {
    throw invalidField('/root', 'root-outside', `"${root}" does not lie inside a folder that this server allows (DATASET_ROOTS)`)
  }
  if (real === undefined || !(await stat(real)).isDirectory()) {
    throw invalidField('/root', 'root-missing', `"${root}" is not a folder`)
  }
  return real
}

function isInside(base: string, path: string): boolean {
  const way = relative(base, path)
  return way === '' || !(way === '..' || way.startsWith('../') || isAbsolute(way))
}
