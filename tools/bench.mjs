/**
 * npm run bench -- NAME [arguments]: starts bench/NAME.ts. Benchmarks print a table and assert nothing.
 * Without a name it lists what there is.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'bench')
const [name, ...args] = process.argv.slice(2)
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))

if (name === undefined || !names.includes(name) || !existsSync(join(folder, `${name}.ts`))) {
  if (name !== undefined) console.error(`there is no benchmark ${name}`)
  console.error(`usage: npm run bench -- NAME; benchmarks: ${names.join(', ')}`)
  process.exit(name === undefined ? 0 : 2)
}

const { status, signal, error } = spawnSync(process.execPath, ['--import', 'tsx', join(folder, `${name}.ts`), ...args], {
  cwd: root,
  stdio: 'inherit',
})
if (error) throw error
process.exit(status ?? (signal ? 1 : 0))
