/** Read-only files of a data set, wherever they lie. Adapters: `folder-files.ts` and `object-files.ts`. */

export interface DatasetFiles {
  /** Names directly in `folder` ('' for the root), sorted; none where there is no such folder. @throws SpecError where the root cannot be read. */
  names(folder: string): Promise<readonly string[]>
  /** Sizes in bytes, in order; undefined where there is no such file. */
  sizes(files: readonly string[]): Promise<(number | undefined)[]>
  read(file: string): Promise<Buffer>
  stream(file: string): Promise<AsyncIterable<Uint8Array>>
  /** Path on this machine, for readers that open files themselves: the file, or a copy that lives until `close`. */
  localPath(file: string): Promise<string>
  /** What an image decoder opens: a path, or the bytes. */
  image(file: string): Promise<string | Buffer>
  /** Removes local copies. */
  close(): Promise<void>
}
