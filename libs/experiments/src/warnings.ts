/** What is legal and still worth a word before GPU hours are spent on it. */
import type { GridRequest } from './grid-request.ts'
import type { RunSpec } from './spec.ts'

type Check = (request: GridRequest, specs: readonly RunSpec[]) => string | undefined

const msnSpecs = (specs: readonly RunSpec[]) =>
  specs.filter((spec) => spec.kind === 'pretrain').filter((spec) => spec.method === 'msn')

const prototypesExceedBatch: Check = (_, specs) => {
  const worst = msnSpecs(specs).find((spec) => spec.prototypes.count > spec.batch)
  if (!worst) return undefined
  const { prototypes, batch } = worst
  return `prototypes-exceed-batch: ${prototypes.count} prototypes with a batch of ${batch}: the loss levels off far above 0; fewer prototypes suit small runs`
}

const batchNormGroupsDiffer: Check = (_, specs) => {
  const groups = (vanilla: boolean) =>
    new Set(msnSpecs(specs).flatMap((spec) => ((spec.ehr === null) === vanilla ? [spec.head.bnGroups] : [])))
  const [ofVanilla, ofEhr] = [groups(true), groups(false)]
  if (ofVanilla.size === 0 || ofEhr.size === 0 || [...ofVanilla].every((group) => ofEhr.has(group))) return undefined
  return 'bn-groups-differ: vanilla and EHR pretrainings group BatchNorm otherwise, as in the paper; set pretrain head.bnGroups to compare them alike'
}

const cachedFeaturesIgnoreAugmentation: Check = ({ overrides }, specs) => {
  const cached = specs.some((spec) => spec.kind === 'evaluate' && spec.mode === 'linear-cached')
  if (!cached || overrides.evaluate?.augmentation === undefined) return undefined
  return 'augmentation-ignored: linear-cached evaluates features of un-augmented images; the augmentation override does not apply to it'
}

const ehrWithoutMsn: Check = ({ method, ehr }) => {
  if (method.includes('msn') || ehr.every((name) => name.trim() === 'vanilla')) return undefined
  return 'ehr-ignored: EHR sets apply to method msn alone, which this grid does not ask for'
}

const packUpsampled: Check = (_, specs) => {
  const sides = specs.flatMap((spec) => (spec.kind === 'prepare' ? [spec.sidePx] : []))
  const wanted = specs.flatMap((spec) => (spec.kind === 'evaluate' ? [spec.resizePx] : []))
  const [side, largest] = [Math.min(...sides), Math.max(...wanted)]
  if (side >= largest) return undefined
  return `pack-upsampled: packs of ${side} px are enlarged to ${largest} px for evaluation; prepare with a larger sidePx`
}

const CHECKS: readonly Check[] = [
  prototypesExceedBatch,
  batchNormGroupsDiffer,
  ehrWithoutMsn,
  cachedFeaturesIgnoreAugmentation,
  packUpsampled,
]

/** Warnings of a plan, each a stable word, a colon and a sentence. */
export function planWarnings(request: GridRequest, specs: readonly RunSpec[]): string[] {
  return CHECKS.flatMap((check) => check(request, specs) ?? [])
}
