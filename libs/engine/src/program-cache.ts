/** Compiled programs on disk, so that a run's second start skips what the first has computed. Losing it costs time only. */
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const SUFFIX = '.program'
/** The newest programs that a folder keeps; one has a few megabytes. */
const KEPT = 64
const HASH_BYTES = 32

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

/** One digest of everything that a program is determined by; parts cannot run into each other. */
export function programKey(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length} `).update(part)
  return hash.digest('hex')
}

export class ProgramCache {
  private readonly folder: string

  /** @param folder made when the first program is written */
  constructor(folder: string) {
    this.folder = folder
  }

  /** The program's bytes; undefined where there is none, or where the entry is not what was written. */
  read(key: string): Uint8Array | undefined {
    let entry: Buffer
    try {
      entry = readFileSync(this.path(key))
    } catch {
      return undefined
    }
    const program = entry.subarray(HASH_BYTES)
    return entry.length > HASH_BYTES && sha256(program).equals(entry.subarray(0, HASH_BYTES)) ? program : undefined
  }

  /**
   * Lets `produce` write a program to a file of the cache's folder and keeps it under `key`, seen whole or not at all. A folder
   * that cannot be written makes nothing fail: then `produce` gets no file.
   */
  async fill<T>(key: string, produce: (file: string | undefined) => Promise<T>): Promise<T> {
    const file = this.scratchFile(key)
    try {
      const result = await produce(file)
      if (file !== undefined) this.adopt(key, file)
      return result
    } finally {
      if (file !== undefined) rmSync(file, { force: true })
    }
  }

  private path(key: string): string {
    return join(this.folder, key + SUFFIX)
  }

  private scratchFile(key: string): string | undefined {
    const file = join(this.folder, `${key}.${randomUUID()}.part`)
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 })
      writeFileSync(file, '', { flag: 'wx', mode: 0o600 })
      return file
    } catch {
      return undefined
    }
  }

  private adopt(key: string, file: string): void {
    try {
      const program = readFileSync(file)
      if (program.length === 0) return
      writeFileSync(file, Buffer.concat([sha256(program), program]))
      renameSync(file, this.path(key))
      this.prune()
    } catch {
      // A full disk or a folder that went away: the next start compiles again.
    }
  }

  private prune(): void {
    const entries = readdirSync(this.folder)
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => ({ path: join(this.folder, name), usedMs: statSync(join(this.folder, name)).mtimeMs }))
    for (const { path } of entries.sort((a, b) => b.usedMs - a.usedMs).slice(KEPT)) rmSync(path, { force: true })
  }
}
