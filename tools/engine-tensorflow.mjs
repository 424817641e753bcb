/**
 * npm run engine:tensorflow [-- cpu|gpu]: makes TensorFlow ready for the engine (ENGINE=tensorflow, or auto).
 *
 * Puts the C library of a TensorFlow wheel under @tensorflow/tfjs-node-gpu in engines/tensorflow and compiles the package's
 * binding against it: the library that the package would fetch by itself is from 2021 and knows no current card.
 * Without a flavour: gpu where an NVIDIA driver is loaded, else cpu. Does nothing where it stands already; the file
 * `deps/built.json` in the package is written last and says what was built.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { arch, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const home = fileURLToPath(new URL('../engines/tensorflow', import.meta.url))
const pkg = join(home, 'node_modules/@tensorflow/tfjs-node-gpu')
const stamp = join(pkg, 'deps/built.json')
const MACHINES = { x64: 'x86_64', arm64: 'aarch64' }

class BuildError extends Error {}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: home, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options })
  if (result.error) throw new BuildError(`cannot run ${command}: ${result.error.message}`)
  if (result.status === 0) return result.stdout
  const lines = `${result.stdout}\n${result.stderr}`.trim().split('\n')
  const telling = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? ''
  throw new BuildError(`${command} ${args.slice(0, 3).join(' ')} failed: ${telling.trim()}`)
}

const works = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0

function flavourOf(argument) {
  if (argument === 'cpu' || argument === 'gpu') return argument
  if (argument !== undefined) throw new BuildError(`the flavour is cpu or gpu, not ${argument}`)
  return existsSync('/proc/driver/nvidia/version') ? 'gpu' : 'cpu'
}

function checkMachine() {
  const machine = MACHINES[arch()]
  if (platform() !== 'linux' || machine === undefined)
    throw new BuildError(
      `TensorFlow is built on Linux with x64 or arm64, not on ${platform()} ${arch()}; ENGINE=onnx runs everywhere`,
    )
  if (!works('python3', ['-m', 'pip', '--version']))
    throw new BuildError('python3 with pip is needed to fetch TensorFlow (Debian: apt-get install python3 python3-pip)')
  if (!works('g++', ['--version'])) throw new BuildError('a C++ compiler is needed (Debian: apt-get install g++)')
  return machine
}

/** What a build depends on: a change of any of it builds anew. */
function digestOf(flavour, machine) {
  const hash = createHash('sha256').update(`${flavour} ${machine}\n`)
  const inputs = ['package-lock.json', ...readdirSync(join(home, 'wheels')).map((name) => `wheels/${name}`)]
  for (const file of inputs.sort()) hash.update(readFileSync(join(home, file)))
  return hash.update(readFileSync(fileURLToPath(import.meta.url))).digest('hex')
}

function isBuilt(digest) {
  return existsSync(stamp) && JSON.parse(readFileSync(stamp, 'utf8')).digest === digest
}

/**
 * Downloads the wheels that a file pins and unpacks what `wanted` (a Python expression on the name n) accepts into deps.
 * The tag of a CPython does not matter: only C libraries and headers are taken, whatever Python the machine has.
 */
function unpackWheels(pins, machine, wanted) {
  const folder = mkdtempSync(join(tmpdir(), 'cxrlab-wheels-'))
  const tags = ['2_27', '2_17', '2_12', '2_5'].flatMap((version) => ['--platform', `manylinux_${version}_${machine}`])
  const old = ['2014', '2010', '1'].flatMap((version) => ['--platform', `manylinux${version}_${machine}`])
  const python = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311', '--abi', 'none']
  try {
    const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--require-hashes']
    run('python3', [...pip, ...python, ...tags, ...old, '--dest', folder, '--requirement', join(home, 'wheels', pins)])
    const unpack = `import sys,zipfile
for path in sys.argv[2:]:
    z=zipfile.ZipFile(path)
    for n in z.namelist():
        if ${wanted}: z.extract(n,sys.argv[1])`
    const wheels = readdirSync(folder).map((name) => join(folder, name))
    run('python3', ['-c', unpack, join(pkg, 'deps'), ...wheels])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function fetchTensorFlow(flavour, machine) {
  const pins = flavour === 'cpu' && machine === 'x86_64' ? 'tensorflow-cpu-x86_64.txt' : 'tensorflow.txt'
  const libraries = `n in ('tensorflow/libtensorflow_cc.so.2','tensorflow/libtensorflow_framework.so.2')`
  const folders = ['tensorflow/c/', 'tensorflow/core/platform/', 'xla/', 'tsl/']
  const headers = `n.endswith('.h') and n.startswith((${folders.map((name) => `'tensorflow/include/${name}'`).join(',')}))`
  unpackWheels(pins, machine, `${libraries} or (${headers})`)
  // The library looks for CUDA at nvidia/*/lib beside its own folder.
  if (flavour === 'gpu') unpackWheels('cuda.txt', machine, `n.startswith('nvidia/')`)
}

function compileBinding() {
  const library = join(pkg, 'deps/tensorflow')
  symlinkSync('libtensorflow_cc.so.2', join(library, 'libtensorflow.so'))
  symlinkSync('libtensorflow_framework.so.2', join(library, 'libtensorflow_framework.so'))
  mkdirSync(join(pkg, 'lib/napi-v8'), { recursive: true })
  const include = [join(home, 'node_modules/node-api-headers/include'), join(library, 'include')].flatMap((path) => ['-I', path])
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(pkg, 'binding', file))
  const link = ['-L', library, '-ltensorflow', '-ltensorflow_framework', '-Wl,-rpath,$ORIGIN/../../deps/tensorflow']
  const flags = ['-O2', '-std=c++17', '-fPIC', '-shared', '-w', '-DNAPI_VERSION=8']
  run('g++', [...flags, ...include, ...sources, '-o', join(pkg, 'lib/napi-v8/tfjs_binding.node'), ...link])
}

/** Multiplies two matrices through the whole package, whose JavaScript needs two functions that Node 23 dropped from util. */
function check() {
  const program = `const util = require('node:util')
util.isNullOrUndefined ??= (value) => value === null || value === undefined
util.isArray ??= Array.isArray
const tf = require('@tensorflow/tfjs-node-gpu')
const { binding, isUsingGpuDevice } = tf.backend()
const [product] = tf.matMul([[1, 2]], [[3], [4]]).dataSync()
process.stdout.write(JSON.stringify({ tensorflow: binding.TF_Version, gpu: isUsingGpuDevice, product }))`
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3', TF_FORCE_GPU_ALLOW_GROWTH: 'true' }
  const answer = JSON.parse(run(process.execPath, ['-e', program], { env }).split('\n').at(-1))
  if (answer.product !== 11) throw new BuildError(`TensorFlow answers ${answer.product} where 11 is right`)
  return answer
}

function build(flavour, machine, digest) {
  const say = (text) => console.log(`engine:tensorflow: ${text}`)
  rmSync(stamp, { force: true })
  say('npm ci in engines/tensorflow')
  run('npm', ['ci', '--ignore-scripts', '--no-progress', '--loglevel=error'])
  say(`fetching TensorFlow (${flavour}, ${flavour === 'gpu' ? 'about 3 GB with CUDA' : 'about 270 MB'})`)
  fetchTensorFlow(flavour, machine)
  say('compiling the binding')
  compileBinding()
  const { tensorflow, gpu } = check()
  if (flavour === 'gpu' && !gpu) say('the library is built for CUDA, but finds no usable card on this machine')
  writeFileSync(stamp, `${JSON.stringify({ digest, flavour, tensorflow, node: process.versions.node }, null, 2)}\n`)
  say(`TensorFlow ${tensorflow} (${flavour}) stands`)
}

try {
  const flavour = flavourOf(process.argv[2])
  const machine = checkMachine()
  const digest = digestOf(flavour, machine)
  if (isBuilt(digest)) console.log(`engine:tensorflow: TensorFlow (${flavour}) stands already`)
  else build(flavour, machine, digest)
} catch (error) {
  if (!(error instanceof BuildError)) throw error
  console.error(`engine:tensorflow: ${error.message}`)
  process.exitCode = 1
}
