import type { LabReader } from '#libs/runs'
import { notFound } from '../../../errors.ts'

/** Id of a grid that exists, by id, prefix or name. @throws HttpProblem 404, AmbiguousIdError where a prefix fits several. */
export async function resolveGrid(reader: Pick<LabReader, 'resolveGrid'>, idOrName: string): Promise<string> {
  const id = await reader.resolveGrid(idOrName)
  if (id === undefined) throw notFound('grid', idOrName)
  return id
}
