import { InvalidCursorError, type Page, type Paged } from '#libs/runs'

/** A page of a list that is short enough to be read whole; the cursor is the id of the last item given. @throws InvalidCursorError */
export function pageOfList<T extends { readonly id: string }>(list: readonly T[], { cursor, limit }: Page): Paged<T> {
  const last = cursor === null ? -1 : list.findIndex(({ id }) => id === cursor)
  if (cursor !== null && last < 0) throw new InvalidCursorError()
  const items = list.slice(last + 1, last + 1 + limit)
  return { items, nextCursor: last + 1 + limit < list.length ? (items.at(-1)?.id ?? null) : null }
}
