import type { z } from 'zod'
import { type ApiClient, parseAnswer } from './api-client.ts'
import { pageSchema } from './wire.ts'

const LARGEST_PAGE = 500

/** Follows the cursor from page to page until `limit` items are there. */
export async function collectPages<T extends z.ZodType>(
  api: Pick<ApiClient, 'get'>,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  item: T,
  limit: number,
): Promise<{ readonly items: readonly z.output<T>[]; readonly raw: readonly unknown[] }> {
  const items: z.output<T>[] = []
  const raw: unknown[] = []
  let cursor: string | null = null
  do {
    const parameters = new URLSearchParams({ limit: String(Math.min(LARGEST_PAGE, limit - items.length)) })
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value)
    if (cursor !== null) parameters.set('cursor', cursor)
    const answer = await api.get(`${path}?${parameters}`)
    const page: { items: unknown[]; nextCursor: string | null } = parseAnswer(pageSchema(item), answer)
    items.push(...(page.items as z.output<T>[]))
    raw.push(...(answer as { items: unknown[] }).items)
    cursor = page.nextCursor
  } while (cursor !== null && items.length < limit)
  return { items, raw }
}
