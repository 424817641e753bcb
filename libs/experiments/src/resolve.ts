/** Preset + overrides -> resolved specs, or the problems that stand in the way. */
import type { z } from 'zod'
import { deepMerge, isPlainObject, type JsonObject } from './merge.ts'
import {
  type EvaluateChoice,
  NO_AUGMENTATION,
  type PretrainChoice,
  presetBackbone,
  presetEvaluate,
  presetPrepare,
  presetPretrain,
} from './presets.ts'
import { jsonPointer, problemsOfZodError, type SpecProblem } from './problems.ts'
import {
  backboneSchema,
  type EvaluateSpec,
  ehrSchema,
  evaluateSpecSchema,
  type MsnPretrainSpec,
  msnPretrainSpecSchema,
  type PrepareSpec,
  prepareSpecSchema,
} from './spec.ts'
import type { BackboneName, PresetName } from './vocabulary.ts'

/** `spec` is present exactly where `problems` is empty. */
export type Resolved<S> =
  | { readonly spec: S; readonly problems: readonly [] }
  | { readonly spec: null; readonly problems: readonly SpecProblem[] }

export interface Overrides {
  readonly prepare?: JsonObject | undefined
  readonly pretrain?: JsonObject | undefined
  readonly evaluate?: JsonObject | undefined
}

/** Fields that are lists of the grid, so an override would contradict it. */
const FIXED = {
  prepare: ['kind', 'dataset'],
  pretrain: ['kind', 'method', 'dataset', 'seed', 'backbone.name', 'ehr.variables', 'ehr.ageEncoding'],
  evaluate: ['kind', 'dataset', 'mode', 'labels', 'labelFraction', 'seed'],
} as const

const basePath = (kind: keyof typeof FIXED) => `/overrides/${kind}`

/** Keys of the override that sets `keys`, or takes it away by a null in place of the object that holds it; undefined: none does. */
function overridden(over: JsonObject, keys: readonly string[]): readonly string[] | undefined {
  let at: unknown = over
  for (const [depth, key] of keys.entries()) {
    if (at === null) return keys.slice(0, depth)
    if (!isPlainObject(at) || !Object.hasOwn(at, key)) return undefined
    at = at[key]
  }
  return keys
}

function fixedProblems(kind: keyof typeof FIXED, over: JsonObject): SpecProblem[] {
  const fields = FIXED[kind].flatMap((field) => overridden(over, field.split('.'))?.join('.') ?? [])
  return [...new Set(fields)].map((field) => {
    const message = `${field} is set by the grid's own lists and cannot be overridden`
    return { code: 'fixed-by-grid', path: jsonPointer(basePath(kind), field.split('.')), message }
  })
}

function parsed<S>(schema: z.ZodType<S>, value: unknown, base: string): Resolved<S> {
  const result = schema.safeParse(value, { reportInput: true })
  if (result.success) return { spec: result.data, problems: [] }
  return { spec: null, problems: problemsOfZodError(result.error, base) }
}

function checked<S>(resolved: Resolved<S>, check: (spec: S) => readonly SpecProblem[]): Resolved<S> {
  if (resolved.spec === null) return resolved
  const problems = check(resolved.spec)
  return problems.length > 0 ? { spec: null, problems } : resolved
}

const failed = (problems: readonly SpecProblem[]) => ({ spec: null, problems })

/** Decoding of one data set. */
export function resolvePrepare(preset: PresetName, dataset: string, over: JsonObject = {}): Resolved<PrepareSpec> {
  const fixed = fixedProblems('prepare', over)
  if (fixed.length > 0) return failed(fixed)
  return parsed(prepareSpecSchema, deepMerge(presetPrepare(preset, dataset), over), basePath('prepare'))
}

/**
 * Patches that a mask leaves of a square view: floor((1 - share) x patches), as the training step counts them. The slack keeps
 * the rounding of 1 - share from taking a patch away (1 - .9 is a little less than .1).
 */
export function keptPatchCount(sidePx: number, patchPx: number, share: number): number {
  const patches = Math.floor(sidePx / patchPx) ** 2
  return Math.floor((1 - share) * patches + 1e-9 * patches)
}

function sizeProblems({ backbone, views, mask }: MsnPretrainSpec): SpecProblem[] {
  const base = basePath('pretrain')
  const { imagePx, patchPx, dim, heads } = backbone
  const problems: SpecProblem[] = []
  const add = (code: SpecProblem['code'], field: string, message: string) =>
    problems.push({ code, path: `${base}/${field}`, message })
  const imageFits = imagePx % patchPx === 0
  const focalFits = views.focalPx % patchPx === 0
  if (dim % heads !== 0) add('heads-do-not-divide-dim', 'backbone/heads', `${heads} heads do not divide a dim of ${dim}`)
  if (!imageFits)
    add('image-not-multiple-of-patch', 'backbone/imagePx', `${imagePx} px is no multiple of the patch of ${patchPx} px`)
  else if (keptPatchCount(imagePx, patchPx, mask.random) < 1)
    add('mask-keeps-nothing', 'mask/random', `a share of ${mask.random} keeps no patch`)
  if (views.focalCount === 0) return problems
  if (!focalFits)
    add('focal-not-multiple-of-patch', 'views/focalPx', `${views.focalPx} px is no multiple of the patch of ${patchPx} px`)
  else if (keptPatchCount(views.focalPx, patchPx, mask.focal) < 1)
    add('mask-keeps-nothing', 'mask/focal', `a share of ${mask.focal} keeps no patch`)
  return problems
}

function pretrainProblems(spec: MsnPretrainSpec): SpecProblem[] {
  const problems = sizeProblems(spec)
  if (spec.batch < 2) {
    const message = 'BatchNorm has no statistics in a batch of 1; at least 2 are needed'
    problems.push({ code: 'batch-too-small', path: `${basePath('pretrain')}/batch`, message })
  }
  return problems
}

/** An EHR override says nothing about vanilla, but its fields must be right all the same. */
function vanillaEhrProblems(preset: PresetName, choice: PretrainChoice, over: unknown): readonly SpecProblem[] {
  const ehr = presetPretrain(preset, { ...choice, ehr: { variables: ['sex'], ageEncoding: null } }).ehr
  return parsed(ehrSchema, deepMerge(ehr, over), `${basePath('pretrain')}/ehr`).problems
}

/**
 * MSN pretraining. Overrides of `backbone` come first, because head sizes follow its dim; overrides of `ehr` leave vanilla alone.
 */
export function resolvePretrain(
  preset: PresetName,
  choice: Omit<PretrainChoice, 'backbone'> & { readonly backbone: BackboneName },
  over: JsonObject = {},
): Resolved<MsnPretrainSpec> {
  const base = basePath('pretrain')
  const fixed = fixedProblems('pretrain', over)
  if (fixed.length > 0) return failed(fixed)
  const named = presetBackbone(preset, choice.backbone)
  const backbone = parsed(backboneSchema, deepMerge(named, over.backbone ?? {}), `${base}/backbone`)
  const full: PretrainChoice = { ...choice, backbone: backbone.spec ?? named }
  const { backbone: _, ehr: ehrOver, ...rest } = over
  const laid = choice.ehr !== null && ehrOver !== undefined ? { ...rest, ehr: ehrOver } : rest
  const resolved = parsed(msnPretrainSpecSchema, deepMerge(presetPretrain(preset, full), laid), base)
  const ehrProblems = choice.ehr === null && ehrOver !== undefined ? vanillaEhrProblems(preset, full, ehrOver) : []
  const problems = [...backbone.problems, ...resolved.problems, ...ehrProblems]
  if (problems.length > 0) return failed(problems)
  return checked(resolved, pretrainProblems)
}

function evaluateProblems(spec: EvaluateSpec, imagePx: number): SpecProblem[] {
  if (spec.resizePx >= imagePx) return []
  const message = `images resized to ${spec.resizePx} px have no centre crop of ${imagePx} px`
  return [{ code: 'resize-below-image', path: `${basePath('evaluate')}/resizePx`, message }]
}

/** Evaluation of a backbone with views of `imagePx`. Mode `linear-cached` has no augmentation, whatever is overridden. */
export function resolveEvaluate(
  preset: PresetName,
  choice: EvaluateChoice,
  imagePx: number,
  over: JsonObject = {},
): Resolved<EvaluateSpec> {
  const fixed = fixedProblems('evaluate', over)
  if (fixed.length > 0) return failed(fixed)
  const resolved = parsed(evaluateSpecSchema, deepMerge(presetEvaluate(preset, choice), over), basePath('evaluate'))
  const sized = checked(resolved, (spec) => evaluateProblems(spec, imagePx))
  if (sized.spec === null || choice.mode !== 'linear-cached') return sized
  return { spec: { ...sized.spec, augmentation: NO_AUGMENTATION }, problems: [] }
}
