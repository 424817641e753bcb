/**
 * npm test: everything that must hold before a change is merged, from a fresh clone on. Stages in order of their cost; the first
 * that fails ends the run with its exit code. Arguments go to vitest: `npm test -- libs/queueing`.
 *
 * Node built-ins only: it runs before there are packages.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { install, root } from './install.mjs'

const bin = (path) => join(root, 'node_modules', path)

/** @type {readonly (readonly [title: string, work: () => void])[]} */
const stages = [
  ['packages and database client', () => install()],
  ['types', () => run(bin('typescript/bin/tsc'), ['-p', '.'])],
  ['format and lint', () => run(bin('@biomejs/biome/bin/biome'), ['ci', '.'])],
  ['import directions', () => run(join(root, 'tools/check-imports.mjs'), [])],
  ['tests', () => runTests(process.argv.slice(2))],
]

/** Runs a Node program in the repository; ends this process with its code where it fails. */
function run(program, args) {
  const { status, signal, error } = spawnSync(process.execPath, [program, ...args], { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? (signal ? 1 : 0))
}

function runTests(args) {
  const folder = mkdtempSync(join(tmpdir(), 'cxrlab-report-'))
  const report = join(folder, 'report.json')
  process.on('exit', (code) => {
    const counts = countsOf(report)
    rmSync(folder, { recursive: true, force: true })
    console.log(counts ?? `no test report (exit code ${code})`)
  })
  run(bin('vitest/vitest.mjs'), ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args])
}

/** One plain line for whoever reads the log by program, whatever the reporter's colours. */
function countsOf(report) {
  let counted
  try {
    counted = JSON.parse(readFileSync(report, 'utf8'))
  } catch {
    return
  }
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = counted
  const unread = testResults.filter(({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0).length
  const line = `${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped`
  return unread === 0 ? line : `${line}, ${unread} files did not load`
}

for (const [title, work] of stages) {
  const startMs = performance.now()
  console.log(`--- ${title}`)
  work()
  console.log(`--- ${title}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
}
