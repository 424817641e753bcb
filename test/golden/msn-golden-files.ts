/** The two MSN golden files with the types of what the cases read of them. */
import originalJson from './data/msn-original.json' with { type: 'json' }
import paperJson from './data/msn-paper.json' with { type: 'json' }
import type { FillRule } from './filler.ts'

export type Rows = number[][]
export type NamedFill = FillRule & { readonly name: string }

export interface LossGolden {
  readonly name: string
  readonly B: number
  readonly V: number
  readonly K: number
  readonly D: number
  readonly seeds: { readonly z: number; readonly zTarget: number; readonly q: number }
  readonly scale: number
  readonly tau: number
  readonly sharpen: number
  readonly sinkhornIterations: number
  readonly memaxWeight: number
  readonly loss: number
  readonly ce: number
  readonly memax: number
  readonly entropy: number
  readonly t: Rows
  readonly p: Rows
  readonly dz: Rows
  readonly dq: Rows
}

export interface ScheduleGolden {
  readonly itersPerEpoch: number
  readonly epochs: number
  readonly warmupEpochs: number
  readonly lrStart: number
  readonly lrRef: number
  readonly lrFinal: number
  readonly wdStart: number
  readonly wdFinal: number
  readonly momentumStart: number
  readonly stretch: number
  readonly rows: readonly { step: number; lr: number; wd: number; momentum: number }[]
}

interface StepGolden {
  readonly step: number
  readonly loss: number
  readonly ce: number
  readonly memax: number
  readonly entropy: number
  readonly distinctPrototypes: number
  readonly meanMaxTarget: number
  readonly gradNorms?: Record<string, number>
  readonly gradFirst8?: Record<string, number[]>
  readonly z?: Rows
  readonly zTarget?: Rows
  readonly t?: Rows
  readonly p?: Rows
  readonly headInput?: Rows
}

export interface OriginalStep extends StepGolden {
  readonly lr: number
  readonly wd: number
  readonly momentum: number
  readonly gradNormEncoder: number
  readonly gradNormPrototypes: number
}

export interface PaperStep extends StepGolden {
  readonly meanPairwiseCosine: number
  readonly gradNorm: number
}

type Statistics = { readonly mean: number[]; readonly var: number[] }

export interface OriginalGolden {
  readonly loss: readonly LossGolden[]
  readonly sinkhorn: readonly { iterations: number; t: Rows }[]
  readonly positionMatrices: readonly { from: number; to: number; matrix: Rows }[]
  readonly parameters: readonly NamedFill[]
  readonly prototypes: FillRule
  readonly trunk: readonly { name: string; input: FillRule; keep: number[] | null; cls: Rows }[]
  readonly head: { readonly z: Rows }
  readonly training: {
    readonly data: { readonly keepRandom: number[] }
    readonly steps: readonly OriginalStep[]
    readonly after3: Record<string, { online: number[]; target: number[] }>
    readonly prototypesAfter3: Rows
    readonly bnRunning: Record<'online' | 'target', Record<'bn1' | 'bn2', Statistics>>
    readonly zeroGradient: readonly string[]
  }
  readonly schedules: readonly ScheduleGolden[]
  readonly schedulePaper: {
    readonly epochs: number
    readonly lr: number
    readonly rows: readonly { epoch: number; lr: number }[]
  }
}

export interface PaperCase {
  readonly name: string
  readonly ehr: boolean
  readonly bn: 'separate' | 'joint'
  readonly steps: readonly PaperStep[]
  readonly after: { readonly online: Record<string, number[]>; readonly target: Record<string, number[]> }
  readonly zeroGradient: readonly string[]
}

export interface PaperGolden {
  readonly parameters: readonly NamedFill[]
  readonly masks: readonly { random: Rows; focal: readonly Rows[] }[]
  readonly cases: readonly PaperCase[]
  readonly trunkStep0: Record<'target' | 'random' | 'focal0', Rows>
}

// The files are data, their inferred literal types useless: the interfaces above say what the cases rely on.
export const original = originalJson as unknown as OriginalGolden
export const paper = paperJson as unknown as PaperGolden
