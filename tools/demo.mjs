// npm run demo: from a fresh clone to a results table.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { install, root } from './install.mjs'

install()
const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'apps/cli/src/demo/main.ts'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
})
// The terminal sends Ctrl-C to both; the demo stops its services and ends, and this process ends with it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 130 : 1)))
