/**
 * Cuts node_modules down to what the given programs load, for container images: `npm ci --omit=dev` keeps Prisma's command line,
 * TypeScript and the binaries of every platform, 1.2 GB in all.
 *
 *   node tools/image-packages.mjs [--keep PACKAGE]... PROGRAM...
 *
 * The programs' own imports, static and dynamic, say which packages stay, with all that these depend on by the lock file. `--keep`
 * names packages that are loaded by a path made at run time. Run it in an image's build stage alone: it deletes.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Binaries of other platforms, which packages ship beside this one's. */
const FOREIGN = [
  ...['darwin', 'win32'].map((platform) => `node_modules/onnxruntime-node/bin/napi-v6/${platform}`),
  `node_modules/onnxruntime-node/bin/napi-v6/linux/${process.arch === 'x64' ? 'arm64' : 'x64'}`,
]

/** Packages that the programs import, by name. @param {readonly string[]} programs paths below the root */
export async function importedPackages(programs) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [...programs],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    metafile: true,
    write: false,
    outdir: 'unused',
    logLevel: 'error',
  })
  const paths = Object.values(metafile.outputs).flatMap(({ imports }) => imports.filter(({ external }) => external))
  return [...new Set(paths.map(({ path }) => packageOf(path)))].filter((name) => !name.startsWith('node:')).sort()
}

const packageOf = (path) =>
  path
    .split('/')
    .slice(0, path.startsWith('@') ? 2 : 1)
    .join('/')

/**
 * Folders of node_modules that must stay: the named packages and what they depend on, as npm resolved it.
 * @param {Readonly<Record<string, { dependencies?: object, optionalDependencies?: object, peerDependencies?: object, peerDependenciesMeta?: object }>>} locked `packages` of the lock file
 * @param {readonly string[]} names
 */
export function closure(locked, names) {
  const kept = new Set()
  const visit = (name, from) => {
    const folder = resolveFrom(locked, name, from)
    if (folder === undefined || kept.has(folder)) return
    kept.add(folder)
    const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } = locked[folder]
    for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies })) visit(dependency, folder)
    for (const peer of Object.keys(peerDependencies ?? {})) if (!peerDependenciesMeta?.[peer]?.optional) visit(peer, folder)
  }
  for (const name of names) visit(name, '')
  return kept
}

/** Node's own search: nearest node_modules first, then upwards. */
function resolveFrom(locked, name, from) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const candidate = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    if (candidate in locked) return candidate
    if (folder === '') return undefined
  }
}

async function main(args) {
  const kept = []
  const programs = []
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--keep') kept.push(args[++i])
    else programs.push(args[i])
  }
  for (const program of programs) {
    if (!existsSync(join(root, program))) throw new Error(`${program}: no such program`)
  }
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const names = [...(await importedPackages(programs)), 'tsx', ...kept]
  const unknown = names.filter((name) => resolveFrom(locked, name, '') === undefined)
  if (unknown.length > 0) throw new Error(`${unknown.join(', ')}: not in package-lock.json`)
  const stay = closure(locked, names)
  const gone = Object.keys(locked).filter((folder) => folder !== '' && !stay.has(folder))
  // A kept package may lie inside the folder of one that goes: then only its neighbours are deleted.
  const holds = (folder) => [...stay].some((other) => other.startsWith(`${folder}/`))
  for (const folder of gone) if (!holds(folder)) rmSync(join(root, folder), { recursive: true, force: true })
  for (const folder of FOREIGN) rmSync(join(root, folder), { recursive: true, force: true })
  rmSync(join(root, 'node_modules/.bin'), { recursive: true, force: true })
  const left = readdirSync(join(root, 'node_modules'))
  console.log(`kept ${stay.size} of ${stay.size + gone.length} packages for ${programs.join(', ')} (${left.length} folders)`)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv.slice(2)).catch((error) => {
    console.error(`image-packages: ${error.message}`)
    process.exit(1)
  })
}
