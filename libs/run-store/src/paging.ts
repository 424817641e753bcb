/** Finding rows: by the start of an id, and page by page (keyset paging: the cursor is the key of the last row given). */
import { InvalidCursorError, type Page, type Paged } from '#libs/runs'

/** What counts as the start of an id. */
export const ID_PREFIX = /^[0-9a-f]{6,64}$/
/** `id` begins with $1: as a range, which the primary key serves whatever its collation; no hex digit comes after "g". */
export const PREFIX = `id >= $1::text AND id < $1::text || 'g'`

/** The row to go on after, or null at the start. @throws InvalidCursorError */
export function keyOf({ cursor }: Page): string | null {
  if (cursor === null) return null
  if (!/^\d{1,18}$/.test(cursor)) throw new InvalidCursorError()
  return cursor
}

/** `rows` were read with a limit of one more than the page holds: whether there is a next page is then known. */
export function toPage<Row, T>(
  rows: readonly Row[],
  { limit }: Page,
  key: (row: Row) => bigint | number,
  item: (row: Row) => T,
): Paged<T> {
  const given = rows.slice(0, limit)
  const last = given.at(-1)
  return { items: given.map(item), nextCursor: rows.length > limit && last !== undefined ? String(key(last)) : null }
}
