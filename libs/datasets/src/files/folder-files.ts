/** Files of a data set in a folder. */
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { SpecError } from '#libs/training'
import type { DatasetFiles } from './dataset-files.ts'

/** Files asked for their size at once. */
const STATS_AT_ONCE = 64

const isMissing = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')

/** `field` names what the folder was given as, for messages. */
export function folderFiles(root: string, field: string): DatasetFiles {
  // Tables name files: a name must not lead out of the data set, whatever it says.
  const path = (file: string) => {
    const full = join(root, file)
    if (relative(root, full).split(sep)[0] === '..') throw new SpecError('the file lies outside of the data set', { file })
    return full
  }
  const sizeOf = async (file: string): Promise<number | undefined> => {
    const full = path(file)
    try {
      const found = await stat(full)
      return found.isFile() ? found.size : undefined
    } catch (error) {
      if (isMissing(error)) return undefined
      throw new SpecError('a file cannot be read', { file }, { cause: error })
    }
  }
  return {
    async names(folder) {
      const full = path(folder)
      try {
        return (await readdir(full)).sort()
      } catch (error) {
        // A folder of another shape holds no files of this data set; one that cannot be read is a problem.
        if (folder !== '' && isMissing(error)) return []
        const what = folder === '' ? 'the root of the data set cannot be read' : 'a folder of the data set cannot be read'
        throw new SpecError(what, folder === '' ? { field } : { file: folder }, { cause: error })
      }
    },
    async sizes(files) {
      const sizes: (number | undefined)[] = new Array(files.length)
      let next = 0
      const lane = async () => {
        for (let at = next++; at < files.length; at = next++) sizes[at] = await sizeOf(files[at]!)
      }
      await Promise.all(Array.from({ length: STATS_AT_ONCE }, lane))
      return sizes
    },
    read: async (file) => readFile(path(file)),
    stream: async (file) => createReadStream(path(file)),
    localPath: async (file) => path(file),
    image: async (file) => path(file),
    close: async () => {},
  }
}
