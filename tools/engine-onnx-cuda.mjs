/**
 * npm run engine:onnx-cuda: adds the CUDA provider to ONNX Runtime (Linux x64). The npm package leaves it out, since it is too
 * large for the registry, and brings a script that fetches it from NuGet; this runs that script. The engine takes CUDA where the
 * provider and an NVIDIA driver are there, else the CPU. CUDA 12 and cuDNN 9 must be on the library path. An `npm ci` removes it.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const home = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
const provider = join(home, 'bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so')

function main() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `ONNX Runtime has its CUDA provider for Linux on x64, not for ${process.platform} on ${process.arch}`
  if (existsSync(provider)) {
    console.log('the CUDA provider is there already')
    return null
  }
  const { status, error } = spawnSync(process.execPath, [join(home, 'script/install.js')], {
    stdio: 'inherit',
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'cuda12' },
  })
  if (error) return `cannot run the installer: ${error.message}`
  if (status !== 0 || !existsSync(provider)) return 'the CUDA provider could not be fetched; the engine goes on with the CPU'
  if (!existsSync('/proc/driver/nvidia/version'))
    console.log('the CUDA provider is there; without an NVIDIA driver the engine computes on the CPU')
  return null
}

const problem = main()
if (problem !== null) {
  console.error(`engine:onnx-cuda: ${problem}`)
  process.exitCode = 1
}
