/**
 * Our side of one measurement: loads a step, then does one for each line `step` and says the milliseconds; `peak` gives the
 * process's peak resident memory in MiB. Argument: the case as JSON (EngineCase).
 */
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { createExecutor, type EngineName } from '#libs/engine'
import { type CaseName, timedStep } from './steps.ts'

export interface EngineCase {
  readonly engine: EngineName
  readonly step: CaseName
  readonly images: number
  readonly microBatch: number | null
  readonly threads: number
  readonly precision: 'float32' | 'bfloat16'
  readonly xla: 'off' | 'on'
  readonly programCacheFolder: string | null
  /** Steps before the first sample. */
  readonly warmUp: number
}

export interface EngineReady {
  readonly startUpMs: number
  /** Of the matrix products of one step. */
  readonly flops: number
}

const given = JSON.parse(process.argv[2] ?? '') as EngineCase
const timed = timedStep(given.step, given.images, given.microBatch)
const begin = performance.now()
const session = await createExecutor(given.engine, given).load(timed.step, timed.state)
const startUpMs = performance.now() - begin
let steps = 0
const stepMs = async (): Promise<number> => {
  const from = performance.now()
  for (let i = 0; i < timed.repeats; i++) await session.run(timed.batch, timed.scalars(steps++))
  return (performance.now() - from) / timed.repeats
}
for (let i = 0; i < given.warmUp; i++) await stepMs()
console.log(JSON.stringify({ startUpMs, flops: timed.flops } satisfies EngineReady))
for await (const line of createInterface({ input: process.stdin })) {
  console.log(line === 'peak' ? Math.round(process.resourceUsage().maxRSS / 1024) : await stepMs())
}
await session.dispose()
