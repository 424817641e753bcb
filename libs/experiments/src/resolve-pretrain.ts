/** Preset + overrides -> resolved specs of pretraining, or the problems that stand in the way. */
import { z } from 'zod'
import { fixedProblems, type Layer, type LayeredResult, parseLayered, placeOf } from './layered.ts'
import type { JsonObject } from './merge.ts'
import { presetBackbone } from './presets.ts'
import { type PretrainChoice, presetDino, presetMae, presetPretrain } from './pretrain-presets.ts'
import type { SpecProblem } from './problems.ts'
import {
  type BackboneSpec,
  backboneSchema,
  type DinoPretrainSpec,
  dinoPretrainSpecSchema,
  ehrSchema,
  type ImportedSpec,
  type MaePretrainSpec,
  type MsnPretrainSpec,
  maePretrainSpecSchema,
  msnPretrainSpecSchema,
  type PretrainSpec,
  type RandomInitSpec,
  type TrainedPretrainSpec,
} from './spec.ts'
import { type BackboneName, isTrainedMethod, type Method, type PresetName, type TrainedMethod } from './vocabulary.ts'

/** Overrides of pretraining: `pretrain` for every method that has the field, the others for one method, over it. */
export type PretrainOverrides = Partial<Readonly<Record<'pretrain' | TrainedMethod, JsonObject | undefined>>>

/** A pretraining as a grid's lists name it. */
export type NamedPretrainChoice = Omit<PretrainChoice, 'backbone'> & {
  readonly backbone: BackboneName
  /** For method `imported`: SHA-256 of the file. */
  readonly weights?: string | null
}

export type PretrainSpecOf<M extends Method> = Extract<PretrainSpec, { method: M }>

type Layers = readonly [Layer, ...Layer[]]

/** Fields that are lists of the grid. */
const FIXED = ['kind', 'method', 'dataset', 'seed', 'backbone.name', 'ehr.variables', 'ehr.ageEncoding'] as const

function layersOf(method: Method, over: PretrainOverrides): Layers {
  const general: Layer = { base: '/overrides/pretrain', over: over.pretrain ?? {} }
  const own = isTrainedMethod(method) ? over[method] : undefined
  return own === undefined ? [general] : [general, { base: `/overrides/${method}`, over: own }]
}

/** The layers with `change` applied to each override. */
const mapped = (layers: Layers, change: (over: JsonObject) => JsonObject) =>
  layers.map(({ base, over }) => ({ base, over: change(over) })) as unknown as Layers

const only = (over: JsonObject, key: string): JsonObject => (Object.hasOwn(over, key) ? { [key]: over[key] } : {})
const all = (over: JsonObject, ...but: string[]): JsonObject =>
  Object.fromEntries(Object.entries(over).filter(([key]) => !but.includes(key)))

/**
 * Patches that a mask leaves of a square view: floor((1 - share) x patches), as the training step counts them. The slack keeps
 * the rounding of 1 - share from taking a patch away (1 - .9 is a little less than .1).
 */
export function keptPatchCount(sidePx: number, patchPx: number, share: number): number {
  const patches = Math.floor(sidePx / patchPx) ** 2
  return Math.floor((1 - share) * patches + 1e-9 * patches)
}

/** Collects what is wrong with sizes, each at the place in the user's document that says most about it. */
class SizeCheck {
  readonly problems: SpecProblem[] = []
  readonly #layers: Layers
  readonly #backbone: BackboneSpec
  constructor(layers: Layers, backbone: BackboneSpec) {
    this.#layers = layers
    this.#backbone = backbone
  }

  add(code: SpecProblem['code'], field: string, message: string): void {
    this.problems.push({ code, path: placeOf(this.#layers, field.split('/')), message })
  }

  heads(field: string, dim: number, heads: number): void {
    if (dim % heads !== 0) this.add('heads-do-not-divide-dim', field, `${heads} heads do not divide a dim of ${dim}`)
  }

  /** Whether a view of `sidePx` is a whole number of patches. */
  side(code: SpecProblem['code'], field: string, sidePx: number): boolean {
    const { patchPx } = this.#backbone
    if (sidePx % patchPx === 0) return true
    this.add(code, field, `${sidePx} px is no multiple of the patch of ${patchPx} px`)
    return false
  }

  backbone(): boolean {
    const { dim, heads, imagePx } = this.#backbone
    this.heads('backbone/heads', dim, heads)
    return this.side('image-not-multiple-of-patch', 'backbone/imagePx', imagePx)
  }

  mask(field: string, sidePx: number, share: number): void {
    if (keptPatchCount(sidePx, this.#backbone.patchPx, share) < 1)
      this.add('mask-keeps-nothing', field, `a share of ${share} keeps no patch`)
  }
}

function msnProblems({ backbone, views, mask, batch }: MsnPretrainSpec, check: SizeCheck): void {
  if (check.backbone()) check.mask('mask/random', backbone.imagePx, mask.random)
  if (views.focalCount > 0 && check.side('focal-not-multiple-of-patch', 'views/focalPx', views.focalPx))
    check.mask('mask/focal', views.focalPx, mask.focal)
  if (batch < 2) check.add('batch-too-small', 'batch', 'BatchNorm has no statistics in a batch of 1; at least 2 are needed')
}

function dinoProblems({ views }: DinoPretrainSpec, check: SizeCheck): void {
  check.backbone()
  if (views.localCount > 0) check.side('local-not-multiple-of-patch', 'views/localPx', views.localPx)
}

function maeProblems({ backbone, mask, decoder }: MaePretrainSpec, check: SizeCheck): void {
  check.heads('decoder/heads', decoder.dim, decoder.heads)
  if (!check.backbone()) return
  check.mask('mask/image', backbone.imagePx, mask.image)
  const patches = (backbone.imagePx / backbone.patchPx) ** 2
  if (keptPatchCount(backbone.imagePx, backbone.patchPx, mask.image) === patches)
    check.add('mask-drops-nothing', 'mask/image', `a share of ${mask.image} leaves no patch to predict`)
}

const problemsOfBackbone = (backbone: BackboneSpec, layers: Layers): SpecProblem[] => {
  const check = new SizeCheck(layers, backbone)
  check.backbone()
  return check.problems
}

function sized<S extends TrainedPretrainSpec>(
  result: LayeredResult<S>,
  layers: Layers,
  problemsOf: (spec: S, check: SizeCheck) => void,
): LayeredResult<S> {
  if (result.spec === null) return result
  const check = new SizeCheck(layers, result.spec.backbone)
  problemsOf(result.spec, check)
  return check.problems.length > 0 ? { ...result, spec: null, problems: check.problems } : result
}

const backboneHolder = z.strictObject({ backbone: backboneSchema })
const ehrHolder = z.strictObject({ ehr: ehrSchema })

/** Overrides of `ehr` leave vanilla alone, but their fields must be right all the same. */
function msnOf(preset: PresetName, choice: PretrainChoice, layers: Layers): LayeredResult<MsnPretrainSpec> {
  const schema = msnPretrainSpecSchema
  if (choice.ehr !== null) return sized(parseLayered(schema, presetPretrain(preset, choice), layers), layers, msnProblems)
  const rest = mapped(layers, (over) => all(over, 'ehr'))
  const result = sized(parseLayered(schema, presetPretrain(preset, choice), rest), layers, msnProblems)
  if (!layers.some(({ over }) => Object.hasOwn(over, 'ehr'))) return result
  const withEhr = presetPretrain(preset, { ...choice, ehr: { variables: ['sex'], ageEncoding: null } })
  const ehr = parseLayered(
    ehrHolder,
    { ehr: withEhr.ehr },
    mapped(layers, (over) => only(over, 'ehr')),
  )
  const unused = [...result.unused, ...ehr.unused]
  if (ehr.spec === null) return { spec: null, problems: [...result.problems, ...ehr.problems], unused }
  return { ...result, unused }
}

/** A backbone that nothing is trained on: no field but the backbone's can be overridden. */
function untrained(spec: RandomInitSpec | ImportedSpec, layers: Layers): LayeredResult<PretrainSpec> {
  const unused = Object.keys(layers[0].over).map((key) => placeOf([layers[0]], [key]))
  const problems = problemsOfBackbone(spec.backbone, layers)
  return problems.length > 0 ? { spec: null, problems, unused } : { spec, problems: [], unused }
}

function ofMethod(
  method: Method,
  preset: PresetName,
  choice: PretrainChoice & Pick<NamedPretrainChoice, 'weights'>,
  layers: Layers,
): LayeredResult<PretrainSpec> {
  switch (method) {
    case 'msn':
      return msnOf(preset, choice, layers)
    case 'dino':
      return sized(parseLayered(dinoPretrainSpecSchema, presetDino(preset, choice), layers), layers, dinoProblems)
    case 'mae':
      return sized(parseLayered(maePretrainSpecSchema, presetMae(preset, choice), layers), layers, maeProblems)
    case 'none':
      return untrained({ kind: 'pretrain', method, seed: choice.seed, backbone: choice.backbone }, layers)
    case 'imported':
      if (!choice.weights) throw new RangeError('method imported without the hash of its file')
      return untrained({ kind: 'pretrain', method, backbone: choice.backbone, weights: choice.weights }, layers)
  }
}

/** One pretraining. Overrides of `backbone` come first, because head sizes follow its dim. */
export function resolvePretrain<M extends Method>(
  method: M,
  preset: PresetName,
  choice: NamedPretrainChoice,
  over: PretrainOverrides = {},
): LayeredResult<PretrainSpecOf<M>> {
  const layers = layersOf(method, over)
  const fixed = layers.flatMap((layer) => fixedProblems(layer, FIXED))
  if (fixed.length > 0) return { spec: null, problems: fixed, unused: [] }
  const named = presetBackbone(preset, choice.backbone)
  const held = parseLayered(
    backboneHolder,
    { backbone: named },
    mapped(layers, (o) => only(o, 'backbone')),
  )
  const full = { ...choice, backbone: held.spec?.backbone ?? named }
  // Each branch of ofMethod gives the spec of its method, which the compiler cannot follow through a switch.
  const result = ofMethod(
    method,
    preset,
    full,
    mapped(layers, (o) => all(o, 'backbone')),
  )
  const unused = [...held.unused, ...result.unused]
  if (held.spec === null) return { spec: null, problems: [...held.problems, ...result.problems], unused }
  return { ...result, unused } as LayeredResult<PretrainSpecOf<M>>
}
