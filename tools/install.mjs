// What a fresh clone lacks before any TypeScript can run: packages and the generated database client. Node built-ins only.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Runs a command in the repository's root; ends this process with its code where it fails. */
export function must(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  if (result.error) {
    console.error(`cannot run ${command}: ${result.error.message}`)
    process.exit(1)
  }
  if (result.status !== 0) {
    if (options.stdio && options.stdio !== 'inherit') process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`)
    process.exit(result.status ?? 1)
  }
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)) return
  console.error(`cxrlab needs Node ^20.19, ^22.12 or >=24; this is ${process.versions.node}`)
  process.exit(1)
}

const digestOf = (path) => createHash('sha256').update(readFileSync(path)).digest('hex')

/** True where the file `stamp` says that its step was done for exactly this content. */
function upToDate(stamp, digest) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === digest
}

/** `npm ci` where the lock changed since the last one, then the database client where the schema did. */
export function install({ log = console.error } = {}) {
  checkNode()
  const npmStamp = join(root, 'node_modules/.cxrlab-lock')
  const lock = digestOf(join(root, 'package-lock.json'))
  if (!upToDate(npmStamp, lock)) {
    log('installing packages (npm ci, about half a minute) ...')
    must('npm', ['ci', '--no-progress', '--loglevel=error'], {
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: process.platform === 'win32',
    })
    writeFileSync(npmStamp, lock)
  }
  const client = join(root, 'libs/run-store/src/generated/prisma')
  const clientStamp = join(root, 'node_modules/.cxrlab-client')
  const schema = digestOf(join(root, 'prisma/schema.prisma'))
  if (!upToDate(clientStamp, schema) || !existsSync(client) || !statSync(client).isDirectory()) {
    log('generating the database client ...')
    must(process.execPath, [join(root, 'node_modules/prisma/build/index.js'), 'generate'], { stdio: 'pipe', encoding: 'utf8' })
    writeFileSync(clientStamp, schema)
  }
}
