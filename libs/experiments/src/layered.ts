/** A preset with a user's overrides laid over it, layer by layer, parsed by the schema of its spec. */
import type { z } from 'zod'
import { deepMerge, isPlainObject, type JsonObject } from './merge.ts'
import { jsonPointer, problemsOfIssue, type SpecProblem } from './problems.ts'

/** One part of a request's overrides. */
export interface Layer {
  /** JSON pointer of the part in the user's document. */
  readonly base: string
  readonly over: JsonObject
}

/** `spec` is present exactly where `problems` is empty. */
export type Resolved<S> =
  | { readonly spec: S; readonly problems: readonly [] }
  | { readonly spec: null; readonly problems: readonly SpecProblem[] }

/** `unused`: JSON pointers of fields of the general layer that this kind of spec does not have; others may have them. */
export type LayeredResult<S> = Resolved<S> & { readonly unused: readonly string[] }

type Keys = readonly PropertyKey[]

/** How many of `keys` an override holds, from its root. */
function depthIn(over: JsonObject, keys: Keys): number {
  let at: unknown = over
  for (const [depth, key] of keys.entries()) {
    if (!isPlainObject(at) || !Object.hasOwn(at, key)) return depth
    at = at[String(key)]
  }
  return keys.length
}

/** The layer that a user must look at for a flaw at `keys`: the one that says most about it, the later one of equals. */
function blamed(layers: readonly Layer[], keys: Keys): Layer {
  return layers.reduce((best, layer) => (depthIn(layer.over, keys) >= depthIn(best.over, keys) ? layer : best))
}

/** JSON pointer of the field at `keys` in the layer that a user must look at. */
export const placeOf = (layers: readonly Layer[], keys: Keys): string => jsonPointer(blamed(layers, keys).base, keys)

function without(value: unknown, [key, ...rest]: Keys): unknown {
  if (!isPlainObject(value) || key === undefined) return value
  const entries = Object.entries(value).filter(([name]) => rest.length > 0 || name !== key)
  return Object.fromEntries(entries.map(([name, inner]) => [name, name === key ? without(inner, rest) : inner]))
}

const problemsOf = (error: z.core.$ZodError, layers: readonly Layer[]): SpecProblem[] =>
  error.issues.flatMap((issue) => problemsOfIssue(issue, blamed(layers, issue.path).base))

const unknownKeys = (error: z.core.$ZodError): Keys[] =>
  error.issues.flatMap((issue) => (issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : []))

/**
 * The spec of `preset` under `layers`, the later over the earlier. The first layer is general: it serves specs of several kinds,
 * so fields of it that this one lacks are no problem here but `unused`. Later layers are this spec's own and must fit it.
 */
export function parseLayered<S>(schema: z.ZodType<S>, preset: unknown, layers: readonly [Layer, ...Layer[]]): LayeredResult<S> {
  const [general, ...own] = layers
  const value = layers.reduce<unknown>((below, { over }) => deepMerge(below, over), preset)
  const first = schema.safeParse(value, { reportInput: true })
  if (first.success) return { spec: first.data, problems: [], unused: [] }
  const isOwn = (keys: Keys) => own.some(({ over }) => depthIn(over, keys) === keys.length)
  const foreign = unknownKeys(first.error).filter((keys) => !isOwn(keys))
  const unused = foreign.map((keys) => jsonPointer(general.base, keys))
  const second = schema.safeParse(foreign.reduce(without, value), { reportInput: true })
  if (second.success) return { spec: second.data, problems: [], unused }
  return { spec: null, problems: problemsOf(second.error, layers), unused }
}

/** A problem for each field of the general layer that none of the specs has. */
export function unknownToAll(unusedBySpec: readonly (readonly string[])[]): SpecProblem[] {
  const within = (path: string, unused: readonly string[]) =>
    unused.some((outer) => path === outer || path.startsWith(`${outer}/`))
  const paths = [...new Set(unusedBySpec.flat())].filter((path) => unusedBySpec.every((unused) => within(path, unused)))
  const outermost = paths.filter((path) => !paths.some((outer) => path.startsWith(`${outer}/`)))
  return outermost.map((path) => {
    const field = path
      .slice(path.lastIndexOf('/') + 1)
      .replaceAll('~1', '/')
      .replaceAll('~0', '~')
    return { code: 'unknown-field', path, message: `there is no field "${field}" here, for anything that this grid asks for` }
  })
}

/** Fields that are lists of the grid, so an override would contradict it. */
export function fixedProblems({ base, over }: Layer, fixed: readonly string[]): SpecProblem[] {
  const fields = fixed.flatMap((field) => setBy(over, field.split('.'))?.join('.') ?? [])
  return [...new Set(fields)].map((field) => {
    const message = `${field} is set by the grid's own lists and cannot be overridden`
    return { code: 'fixed-by-grid', path: jsonPointer(base, field.split('.')), message }
  })
}

/** Keys of the override that sets `keys`, or takes it away by a null in place of the object that holds it; undefined: none does. */
function setBy(over: JsonObject, keys: readonly string[]): readonly string[] | undefined {
  let at: unknown = over
  for (const [depth, key] of keys.entries()) {
    if (at === null) return keys.slice(0, depth)
    if (!isPlainObject(at) || !Object.hasOwn(at, key)) return undefined
    at = at[key]
  }
  return keys
}
