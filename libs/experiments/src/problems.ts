/** What can be wrong with a grid request or a spec: a stable code, the place, and a sentence for the user. */
import type { z } from 'zod'

export const SPEC_PROBLEM_CODES = [
  'unknown-value',
  'wrong-type',
  'missing-field',
  'unknown-field',
  'out-of-range',
  'invalid-value',
  'fixed-by-grid',
  'variable-not-in-dataset',
  'labels-not-in-dataset',
  'labels-differ',
  'transfer-to-same-dataset',
  'transfer-without-source',
  'unknown-dataset',
  'method-not-in-grid',
  'focal-not-multiple-of-patch',
  'local-not-multiple-of-patch',
  'image-not-multiple-of-patch',
  'heads-do-not-divide-dim',
  'resize-below-image',
  'mask-keeps-nothing',
  'mask-drops-nothing',
  'no-target-network',
  'batch-too-small',
  'prototypes-too-few',
  'grid-too-large',
] as const
export type SpecProblemCode = (typeof SPEC_PROBLEM_CODES)[number]

export interface SpecProblem {
  readonly code: SpecProblemCode
  /** JSON pointer (RFC 6901) into the document that the user wrote, e.g. `/overrides/pretrain/views/focalPx`; '' is the whole. */
  readonly path: string
  readonly message: string
}

/** JSON pointer of a list of keys below `base` (RFC 6901: "~" and "/" are escaped). */
export function jsonPointer(base: string, keys: readonly PropertyKey[]): string {
  return keys.reduce<string>((path, key) => `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`, base)
}

const isAbsent = (issue: z.core.$ZodIssue) => issue.code === 'invalid_type' && issue.input === undefined

function rangeCode(issue: z.core.$ZodIssue): SpecProblemCode {
  const [field, parent] = [issue.path.at(-1), issue.path.at(-2)]
  if (parent === 'prototypes' && field === 'count') return 'prototypes-too-few'
  if (field === 'batch') return 'batch-too-small'
  return 'out-of-range'
}

function codeOf(issue: z.core.$ZodIssue): SpecProblemCode {
  switch (issue.code) {
    case 'invalid_type':
      return isAbsent(issue) ? 'missing-field' : 'wrong-type'
    case 'invalid_value':
    case 'invalid_union':
      return 'unknown-value'
    case 'too_small':
      return rangeCode(issue)
    case 'too_big':
      return 'out-of-range'
    default:
      return 'invalid-value'
  }
}

/**
 * Problems of one zod issue; one for each key where the issue is about unrecognised keys.
 * @param base JSON pointer under which the parsed value lies in the user's document.
 */
export function problemsOfIssue(issue: z.core.$ZodIssue, base = ''): SpecProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      code: 'unknown-field' as const,
      path: jsonPointer(base, [...issue.path, key]),
      message: `there is no field "${key}" here`,
    }))
  }
  const message = isAbsent(issue) ? 'is required' : issue.message
  return [{ code: codeOf(issue), path: jsonPointer(base, issue.path), message }]
}

/** All problems of a failed parse. Parse with `reportInput: true`: only then is an absent field told from a wrong type. */
export function problemsOfZodError(error: z.core.$ZodError, base = ''): SpecProblem[] {
  return error.issues.flatMap((issue) => problemsOfIssue(issue, base))
}
