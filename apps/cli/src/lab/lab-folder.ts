/** The folder of an embedded lab: what lies where, whether it can be written, and who runs a lab on it. */
import { mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LabError } from '../errors.ts'

export interface LabFolder {
  readonly dir: string
  readonly postgres: string
  readonly objects: string
  readonly logs: string
  /** Names the processes of the lab that runs here. */
  readonly state: string
}

const LARGEST_LOG_BYTES = 10 * 2 ** 20

/** Makes the folder where it is missing. @throws LabError where it cannot be written. */
export async function openLabFolder(dir: string): Promise<LabFolder> {
  try {
    await makeFolder(dir)
    const real = await realpath(dir)
    const folder = {
      dir: real,
      postgres: join(real, 'postgres'),
      objects: join(real, 'objects'),
      logs: join(real, 'logs'),
      state: join(real, 'lab.json'),
    }
    await makeFolder(folder.objects)
    await makeFolder(folder.logs)
    const probe = join(real, `.write-probe-${process.pid}`)
    await writeFile(probe, '')
    await rm(probe)
    return folder
  } catch (error) {
    throw new LabError('dir-not-writable', `${dir} ${reasonOf(error)}; choose another folder with --dir`, { cause: error })
  }
}

/** Moves a log that has grown large aside, once; what was aside before goes. */
export async function rotateLog(path: string): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size > LARGEST_LOG_BYTES) await rename(path, `${path}.1`)
}

/** The last lines of a log that say something. */
export async function logTail(path: string, lines: number): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-lines)
    .join('\n')
}

/** With its parents. Node's own `recursive` never ends below a folder that takes none, such as /proc. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return
    if (code !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolder(dirname(path))
    await mkdir(path)
  }
}

function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'may not be written by this user'
    case 'ENOENT':
      return 'cannot be made there'
    case 'ENOTDIR':
    case 'EEXIST':
      return 'is not a folder'
    case 'ENOSPC':
      return 'lies on a full disk'
    default:
      return `cannot be used (${error instanceof Error ? error.message : String(error)})`
  }
}
