/** Names of EHR sets: what a user writes, and the one canonical name under which tables and titles show a set. */
import { GridInvalidError } from './errors.ts'
import { EHR_GROUPS, EHR_VARIABLES, type EhrGroup, type EhrVariable } from './vocabulary.ts'

const GROUP_NAMES = Object.keys(EHR_GROUPS) as EhrGroup[]

/** Stands for all of ALL_COMBINATIONS in a grid request. */
export const ALL_COMBINATIONS_WORD = 'all-combinations'

/**
 * The sets that the paper compares (docs/method.md): vanilla, the six single variables, the three groups, their three pairs
 * and all. Any other of the 64 subsets is legal too.
 */
export const ALL_COMBINATIONS: readonly string[] = [
  'vanilla',
  ...EHR_VARIABLES,
  ...GROUP_NAMES,
  'demographics+scan',
  'demographics+stay',
  'scan+stay',
  'all',
]

function variablesOfWord(word: string): readonly EhrVariable[] | undefined {
  if (word === 'all') return EHR_VARIABLES
  const group = GROUP_NAMES.find((name) => name === word)
  if (group) return EHR_GROUPS[group]
  const variable = EHR_VARIABLES.find((name) => name === word)
  return variable && [variable]
}

/**
 * Variables of a written EHR set, in canonical order; null for `vanilla`.
 *
 * A set is `vanilla`, or variables, groups and `all` joined with "+". Words may overlap (`demographics+sex`).
 * @param path JSON pointer of the text in its document, for the error.
 * @throws GridInvalidError (`unknown-value`) where a word is not known or `vanilla` is joined with another word.
 */
export function parseEhrSet(text: string, path = ''): EhrVariable[] | null {
  if (text.trim() === 'vanilla') return null
  const chosen = new Set<EhrVariable>()
  const unknown: string[] = []
  for (const word of text.split('+').map((part) => part.trim())) {
    const variables = variablesOfWord(word)
    if (variables) for (const variable of variables) chosen.add(variable)
    else unknown.push(word)
  }
  if (unknown.length > 0) {
    const known = ['vanilla (alone)', ...EHR_VARIABLES, ...GROUP_NAMES, 'all'].join(', ')
    const message = `EHR set "${text}" has the unknown word ${unknown.map((word) => `"${word}"`).join(', ')}; known: ${known}`
    throw new GridInvalidError([{ code: 'unknown-value', path, message }])
  }
  return EHR_VARIABLES.filter((variable) => chosen.has(variable))
}

/** Canonical name of a set of variables in any order: whole groups collapse (`demographics+view`), null is `vanilla`. */
export function ehrSetName(variables: readonly EhrVariable[] | null): string {
  if (variables === null || variables.length === 0) return 'vanilla'
  const chosen = new Set(variables)
  if (EHR_VARIABLES.every((variable) => chosen.has(variable))) return 'all'
  const words = GROUP_NAMES.flatMap((name): string[] => {
    const members = EHR_GROUPS[name].filter((variable) => chosen.has(variable))
    return members.length === EHR_GROUPS[name].length ? [name] : members
  })
  return words.join('+')
}
