/** Parts of the statements that derive EHR variables. */
import { EHR_CATEGORIES } from '#libs/experiments'
import { MISSING } from '../record.ts'
import { literal } from '../tables/table-database.ts'

/** Subject, study and stay ids. */
export const DIGITS = '[0-9]{1,8}'

export const MISSING_CODE = `${MISSING}::UTINYINT`

type Categorical = keyof typeof EHR_CATEGORIES

/**
 * SQL for the code of a category, as in EHR_CATEGORIES; NULL where `expression` is none of the words.
 * @param words what the table writes for each category, in their order; as they are where absent.
 */
export function categoryCode(
  variable: Categorical,
  expression: string,
  words: readonly string[] = EHR_CATEGORIES[variable],
): string {
  const cases = words.map((word, code) => `WHEN ${literal(word)} THEN ${code}`)
  return `(CASE ${expression} ${cases.join(' ')} END)::UTINYINT`
}

/** SQL for the code of one category. */
export const codeOf = <V extends Categorical>(variable: V, category: (typeof EHR_CATEGORIES)[V][number]): string =>
  `${(EHR_CATEGORIES[variable] as readonly string[]).indexOf(category)}::UTINYINT`
