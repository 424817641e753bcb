/**
 * The lint of import directions: which lib may import which, which package belongs to which lib, and what pure libs may not
 * touch. Prints `file:line: rule` for each violation and exits 1 where there is one.
 *
 *   node tools/check-imports.mjs [root]
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Lib -> libs that it may import. A lib that is not named here may import none. `testkit` is for tests alone. */
export const DIRECTIONS = {
  experiments: [],
  msn: [],
  evaluation: [],
  scheduling: [],
  telemetry: [],
  engine: ['msn'],
  training: ['experiments', 'msn', 'engine', 'evaluation', 'telemetry'],
  datasets: ['artifacts', 'training', 'experiments', 'telemetry'],
  artifacts: ['training', 'experiments', 'telemetry'],
  weights: ['artifacts', 'training', 'engine', 'msn', 'experiments'],
  runs: ['experiments', 'scheduling', 'telemetry'],
  'run-store': ['runs', 'experiments', 'training', 'telemetry'],
  queueing: ['runs', 'telemetry'],
}

/** Packages that one place owns: everybody else goes through its port. */
export const OWNED_PACKAGES = [
  { pattern: /^(bullmq|ioredis)(\/|$)/, owners: ['libs/queueing'] },
  { pattern: /^@prisma\/(client|adapter-pg)(\/|$)/, owners: ['libs/run-store'] },
  { pattern: /^@aws-sdk\//, owners: ['libs/artifacts'] },
  { pattern: /^@duckdb\//, owners: ['libs/datasets'] },
  { pattern: /^cron-parser(\/|$)/, owners: ['libs/scheduling'] },
  { pattern: /^@tensorflow\//, owners: ['libs/msn', 'libs/engine'] },
  { pattern: /^(fastify|fastify-[a-z-]+|@fastify\/[a-z-]+)(\/|$)/, owners: ['apps/api'] },
]

// Beside the apps' config.ts: TensorFlow takes threads and memory growth from the environment alone, so the engine sets them there.
const ENVIRONMENT_FILES = new Set(['libs/engine/src/tensorflow/runtime.ts'])

const PURE_LIBS = ['experiments', 'msn', 'evaluation', 'scheduling']
const IMPURE = [
  { pattern: /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bprocess\.hrtime\b/, what: 'a clock' },
  { pattern: /\bMath\.random\b|\bcrypto\.(getRandomValues|randomUUID|randomBytes|randomInt)\b/, what: 'a random generator' },
  { pattern: /\bset(Timeout|Interval|Immediate)\b/, what: 'a timer' },
]

const SKIPPED_FOLDERS = new Set(['node_modules', 'generated', 'coverage', '.git', '.cxrlab'])
/** Tests, the conformance suites of ports, and helpers of one unit's tests. */
const TEST_CODE = /\.test\.ts$|\/conformance\/|\/testing(\.ts$|\/)/
const SOURCE = /\.(ts|mts|mjs|js)$/
const STATIC_IMPORT = /^[ \t]*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"\n]+)['"]|^[ \t]*import\s*['"]([^'"\n]+)['"]/gm
const CALLED_IMPORT = /\b(?:import|require)\(\s*['"]([^'"\n]+)['"]/g

/**
 * @typedef {{ file: string, line: number, rule: string }} Violation
 * @param {string} root the repository
 * @returns {Violation[]} in order of file and line
 */
export function findViolations(root) {
  const files = ['apps', 'libs', 'test'].flatMap((folder) => sourcesUnder(root, folder)).sort()
  return files.flatMap((file) => checkFile(root, file))
}

function sourcesUnder(root, folder) {
  let entries
  try {
    entries = readdirSync(join(root, folder), { withFileTypes: true })
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
  return entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : sourcesUnder(root, path)
    return SOURCE.test(entry.name) ? [path] : []
  })
}

function checkFile(root, file) {
  const text = withoutComments(readFileSync(join(root, file), 'utf8'))
  const place = placeOf(file)
  const imports = importsOf(text)
  const found = imports.flatMap(({ specifier, at }) =>
    [directionRule, packageRule, relativeRule, testCodeRule].flatMap((rule) => {
      const broken = rule(root, file, place, specifier)
      return broken ? [{ file, line: lineAt(text, at), rule: broken }] : []
    }),
  )
  found.push(...sourceRules(file, place, text))
  return found.sort((a, b) => a.line - b.line)
}

/** @returns {{ kind: 'libs' | 'apps' | 'test', unit: string, test: boolean }} `unit` is `libs/runs`, `apps/api` or `test` */
function placeOf(file) {
  const [kind, name] = file.split('/')
  const test = kind === 'test' || TEST_CODE.test(file) || name === 'testkit'
  return { kind, unit: kind === 'test' ? 'test' : `${kind}/${name}`, test }
}

function importsOf(text) {
  const found = []
  for (const pattern of [STATIC_IMPORT, CALLED_IMPORT])
    for (const match of text.matchAll(pattern)) {
      const specifier = match[1] ?? match[2]
      found.push({ specifier, at: match.index + match[0].lastIndexOf(specifier) })
    }
  return found
}

function directionRule(_root, _file, place, specifier) {
  if (!specifier.startsWith('#')) return
  const lib = /^#libs\/([a-z-]+)$/.exec(specifier)?.[1]
  if (!lib) return `'${specifier}': a lib is imported by its package entry alone, as '#libs/<name>'`
  if (place.kind !== 'libs') return
  const from = place.unit.slice('libs/'.length)
  if (from === lib) return `'${specifier}': a lib imports its own files by relative path`
  if (from === 'testkit' || lib === 'testkit') return
  if (!(DIRECTIONS[from] ?? []).includes(lib)) return `libs/${from} must not import '${specifier}' (allowed: ${allowedFor(from)})`
}

function allowedFor(lib) {
  const allowed = DIRECTIONS[lib] ?? []
  return allowed.length > 0 ? allowed.join(', ') : 'no other lib'
}

function packageRule(_root, _file, place, specifier) {
  if (place.kind === 'test') return
  for (const { pattern, owners } of OWNED_PACKAGES)
    if (pattern.test(specifier) && !owners.includes(place.unit)) return `'${specifier}' belongs to ${owners.join(' and ')} alone`
}

function relativeRule(root, file, place, specifier) {
  if (!specifier.startsWith('.')) return
  if (!/\.(ts|mts|mjs|js|json)$/.test(specifier)) return `'${specifier}': a relative import names its file with the extension`
  if (place.kind === 'test') return
  const target = relative(root, resolve(root, dirname(file), specifier))
    .split(sep)
    .join('/')
  // The one version of the service stands there.
  if (target === 'package.json') return
  if (!target.startsWith(`${place.unit}/`)) return `'${specifier}' leaves ${place.unit}`
}

function testCodeRule(_root, _file, place, specifier) {
  if (place.test) return
  if (specifier === '#libs/testkit' || /^(vitest|fast-check)(\/|$)/.test(specifier)) return `'${specifier}' is for tests alone`
  if (specifier.startsWith('.') && TEST_CODE.test(specifier)) return `'${specifier}' is test code`
}

function sourceRules(file, place, text) {
  const found = []
  const search = (pattern, rule) => {
    for (const match of text.matchAll(new RegExp(pattern, 'g'))) found.push({ file, line: lineAt(text, match.index), rule })
  }
  if (place.test) return found
  if (!/^apps\/[^/]+\/src\/config\.ts$/.test(file) && !ENVIRONMENT_FILES.has(file)) {
    search(
      /\bprocess\.env\b|\bimport\s*\{[^}]*\benv\b[^}]*\}\s*from\s*['"](node:)?process['"]/,
      'process.env is read in apps/*/src/config.ts alone',
    )
  }
  if (place.kind === 'libs' && PURE_LIBS.includes(place.unit.slice('libs/'.length)))
    for (const { pattern, what } of IMPURE) search(pattern, `${place.unit} is pure: no ${what.replace(/^an? /, '')}`)
  return found
}

/** Blanks comments, keeping every line break, so that prose about an import is not an import. */
function withoutComments(text) {
  const blank = (comment) => comment.replace(/[^\n]/g, ' ')
  return text
    .replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, blank)
    .replace(/(?<=\s)\/\*.*?\*\//g, blank)
    .replace(/(?<=^|\s)\/\/.*$/gm, blank)
}

function lineAt(text, index) {
  let line = 1
  for (let i = 0; i < index; i++) if (text.charCodeAt(i) === 10) line++
  return line
}

function main() {
  const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'))
  const violations = findViolations(root)
  for (const { file, line, rule } of violations) console.error(`${file}:${line}: ${rule}`)
  if (violations.length > 0) {
    console.error(`${violations.length} forbidden ${violations.length === 1 ? 'import or use' : 'imports or uses'}`)
    process.exitCode = 1
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main()
