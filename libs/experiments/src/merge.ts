/** Overrides laid over a preset. */

export type JsonObject = Readonly<Record<string, unknown>>

export const isPlainObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * `over` laid over `base`: objects merge key by key, everything else (lists, null, numbers) replaces. Unknown keys are kept, so
 * that the schema can name them. Own properties only: a "__proto__" of a JSON text stays an ordinary, unknown key.
 */
export function deepMerge(base: unknown, over: unknown): unknown {
  if (!isPlainObject(base) || !isPlainObject(over)) return over
  const keys = new Set([...Object.keys(base), ...Object.keys(over)])
  return Object.fromEntries(
    [...keys].map((key) => [
      key,
      Object.hasOwn(over, key) ? deepMerge(Object.hasOwn(base, key) ? base[key] : undefined, over[key]) : base[key],
    ]),
  )
}
