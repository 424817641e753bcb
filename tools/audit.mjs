/**
 * Looks the packages that run in production up among the known vulnerabilities; fails on one that is high or critical.
 * A registry that keeps no list of them (a mirror) is no failure, but is said.
 *
 *   node tools/audit.mjs
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Severities that fail the check, worst first. */
const SEVERE = ['critical', 'high']

/**
 * @param {string} output of `npm audit --json`
 * @returns {{ ok: boolean, lines: readonly string[] }}
 */
export function judge(output) {
  const report = parse(output)
  if (report?.vulnerabilities === undefined || report.metadata?.vulnerabilities === undefined) {
    const reason = report?.error?.summary || report?.message || 'its answer is no audit report'
    return { ok: true, lines: [`not audited: the registry does not serve npm audit (${oneLine(reason)})`] }
  }
  const severe = Object.values(report.vulnerabilities).filter(({ severity }) => SEVERE.includes(severity))
  const counts = Object.entries(report.metadata.vulnerabilities).filter(([name, count]) => name !== 'total' && count > 0)
  const summary = counts.length === 0 ? 'no known vulnerability' : counts.map(([name, count]) => `${count} ${name}`).join(', ')
  return {
    ok: severe.length === 0,
    lines: [...severe.map(({ name, severity, range }) => `${severity}: ${name} ${range ?? ''}`.trimEnd()), `audited: ${summary}`],
  }
}

/** @param {string} output @returns {any} */
function parse(output) {
  try {
    return JSON.parse(output)
  } catch {
    return undefined
  }
}

/** @param {string} text */
function oneLine(text) {
  return String(text).split('\n')[0]?.slice(0, 200) ?? ''
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 })
  if (error) throw error
  const { ok, lines } = judge(stdout)
  process.stdout.write(`${lines.join('\n')}\n`)
  process.exit(ok ? 0 : 1)
}
