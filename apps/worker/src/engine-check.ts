/** Before a worker takes work: does the engine that its children will compute with stand, and compute right on this device? */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { WorkerConfig } from './config.ts'

const ENTRY = fileURLToPath(new URL('./child/engine-check.ts', import.meta.url))

/**
 * Runs the check in a process of its own, since this one never loads the engine. ONNX Runtime and the eager engine come from npm
 * and are the same on every machine: only TensorFlow, where it is asked for or may be taken, is checked.
 * @throws Error with the one line that says what is wrong
 */
export async function checkEngine(
  config: Pick<WorkerConfig, 'engine' | 'childEnvironment'>,
  entry: string = ENTRY,
): Promise<void> {
  if (config.engine === 'onnx' || config.engine === 'eager') return
  const child = spawn(process.execPath, ['--import', 'tsx', entry], {
    env: { ...config.childEnvironment },
    // Standard output is the log; the last line of stderr says what is wrong.
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-8192)
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  if (code === 0) return
  throw new Error(said.trim().split('\n').at(-1) || `the check of the engine ended with ${signal ?? `code ${code}`}`)
}
