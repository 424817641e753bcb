/** The work: short real pretrainings on phantom images, each with two evaluations, all on one shared pack. */
import type { Lab } from './lab.ts'
import { patiently } from './servers.ts'

const LABELS = ['sex', 'findings'] as const

/** Small enough for seconds, long enough that a fault hits the middle: 24 steps. */
const TINY = {
  pretrain: { batch: 16, epochs: 6, prototypes: { count: 16 }, backbone: { depth: 2 } },
  evaluate: { epochs: 20, bootstrap: { resamples: 50 } },
}

/** A grid of at least `runs` runs: one pack, pretrainings, and two evaluations of each. */
export function gridOf(runs: number) {
  const seeds = Math.max(1, Math.ceil((runs - 1) / (1 + LABELS.length)))
  return {
    name: 'chaos',
    preset: 'tiny-cpu',
    dataset: 'phantom',
    method: ['msn'],
    ehr: ['sex'],
    seed: Array.from({ length: seeds }, (_, i) => i + 1),
    overrides: TINY,
    evaluations: [{ mode: ['linear-cached'], labels: [...LABELS] }],
  }
}

export interface Submitted {
  readonly gridId: string
  readonly created: boolean
}

export async function submit(lab: Lab, runs: number): Promise<Submitted> {
  return (await patiently(() => lab.api.post('/v1/grids', gridOf(runs)))) as Submitted
}
