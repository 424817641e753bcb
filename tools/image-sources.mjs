/** Deletes from a container image what only tests and developers need: run it in the build stage alone. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const FOR_DEVELOPERS = /\.test\.ts$|\.golden$/
const FOLDERS_FOR_DEVELOPERS = new Set(['testing', 'fixtures', 'conformance', 'testkit'])

for (const top of ['apps', 'libs']) {
  for (const entry of readdirSync(join(root, top), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const goes = entry.isDirectory() ? FOLDERS_FOR_DEVELOPERS.has(entry.name) : FOR_DEVELOPERS.test(entry.name)
    if (goes) rmSync(path, { recursive: true, force: true })
  }
}
for (const path of ['tools', 'prisma.config.ts']) rmSync(join(root, path), { recursive: true, force: true })
