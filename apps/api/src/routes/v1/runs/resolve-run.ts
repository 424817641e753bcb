import type { LabReader, RunDetail } from '#libs/runs'
import { notFound } from '../../../errors.ts'

/** The full id of a run that exists. @throws HttpProblem 404, AmbiguousIdError where a prefix fits several runs. */
export async function resolveRun(reader: Pick<LabReader, 'run'>, idOrPrefix: string): Promise<string> {
  return (await existingRun(reader, idOrPrefix)).id
}

export async function existingRun(reader: Pick<LabReader, 'run'>, idOrPrefix: string): Promise<RunDetail> {
  const run = await reader.run(idOrPrefix)
  if (run === undefined) throw notFound('run', idOrPrefix)
  return run
}
