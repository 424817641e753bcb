/**
 * npm run bench -- engine [--rounds N] [--threads N] [--only GROUP,...]
 *
 * Milliseconds a training step on our engines and, where BENCH_PYTHON (default python3) can import torch, on PyTorch:
 *   python3 -m venv ENV && ENV/bin/pip install torch==2.13.0 && BENCH_PYTHON=ENV/bin/python npm run bench -- engine
 * Every contender is a process of its own. Each round takes one sample of each, so that a change of the machine's mood meets all of
 * them; samples during which other processes computed are left out (engine-parts/processor-time.ts).
 * Groups: vit, bf16, cpu, msn-tiny, msn-small, start-up, memory. About a quarter of an hour for all of them on two cores.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { tensorflowBuild } from '#libs/engine'
import { type Duel, duel, printDuel } from './engine-parts/duel.ts'
import { measureMemory, measureStartUp } from './engine-parts/single-runs.ts'
import type { CaseName } from './engine-parts/steps.ts'

const GROUPS = ['vit', 'bf16', 'cpu', 'msn-tiny', 'msn-small', 'start-up', 'memory'] as const
type Group = (typeof GROUPS)[number]

const DUELS: Partial<Record<Group, Pick<Duel, 'title' | 'step' | 'images' | 'precision' | 'limits'>>> = {
  vit: {
    title: 'ViT-Tiny 224 px, batch 8: forward, backward, AdamW, EMA; float32',
    step: 'vit-tiny',
    images: 8,
    precision: 'float32',
    limits: [
      { engine: 'tensorflow', against: '', most: 0.9 },
      { engine: 'onnx', against: '', most: 1.1 },
    ],
  },
  bf16: {
    title: 'the same; bfloat16 matrix products',
    step: 'vit-tiny',
    images: 8,
    precision: 'bfloat16',
    limits: [{ engine: 'tensorflow', against: '', most: 1 }],
  },
  cpu: { title: 'MSN, preset tiny-cpu, batch 32; float32', step: 'msn-cpu', images: 32, precision: 'float32', limits: [] },
  'msn-tiny': msnDuel('msn-tiny', 'ViT-Tiny'),
  'msn-small': msnDuel('msn-small', 'ViT-Small'),
}

function msnDuel(step: CaseName, backbone: string): NonNullable<(typeof DUELS)[Group]> {
  return {
    title: `the whole MSN step, ${backbone} 224 px, 12 views, batch 16; float32`,
    step,
    images: 16,
    precision: 'float32',
    limits: [
      { engine: 'tensorflow', against: 'usual', most: 0.8 },
      { engine: 'tensorflow', against: 'same', most: 0.92 },
    ],
  }
}

function groupsOf(only: string | undefined): readonly Group[] {
  if (only === undefined) return GROUPS
  const names = only.split(',')
  const unknown = names.find((name) => !GROUPS.includes(name as Group))
  if (unknown !== undefined) throw new RangeError(`there is no group ${unknown}; groups: ${GROUPS.join(', ')}`)
  return GROUPS.filter((group) => names.includes(group))
}

function positive(text: string | undefined, name: string, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text)
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${name} must be a positive integer, not ${text}`)
  return value
}

/** Without such instructions bfloat16 is emulated, and the comparison says nothing. */
function hasBfloat16(): boolean {
  try {
    return /\b(avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'latin1'))
  } catch {
    return false
  }
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { threads: text, rounds: text, only: text } })
  const threads = positive(values.threads, 'threads', availableParallelism())
  const rounds = positive(values.rounds, 'rounds', 7)
  const groups = groupsOf(values.only)
  const build = tensorflowBuild()
  const python = process.env.BENCH_PYTHON ?? 'python3'
  console.log(`${cpus()[0]?.model ?? 'CPU'}, ${threads} threads, Node ${process.versions.node}, ${rounds} interleaved rounds`)
  if (build === null) console.log('TensorFlow is not built here (npm run engine:tensorflow): ONNX Runtime alone')
  const cacheFolder = mkdtempSync(join(tmpdir(), 'cxrlab-bench-'))
  try {
    for (const group of groups) {
      const chosen = DUELS[group]
      if (chosen?.precision === 'bfloat16' && !hasBfloat16()) {
        console.log(`\n${chosen.title}: this processor has no bfloat16 instructions`)
      } else if (chosen) {
        const withTorch = chosen.step !== 'msn-cpu'
        printDuel(await duel({ ...chosen, threads, rounds, tensorflow: build !== null, python: withTorch ? python : null }))
      } else if (group === 'start-up') await measureStartUp(threads, build !== null, cacheFolder)
      else await measureMemory(threads, build !== null)
    }
  } finally {
    rmSync(cacheFolder, { recursive: true, force: true })
  }
}

await main()
