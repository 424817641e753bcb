import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { RunDetail } from '#libs/runs'
import type { ApiDeps } from '../../../deps.ts'
import { HttpProblem, invalidField } from '../../../errors.ts'
import { problems, runIdParams } from '../../../wire/common.ts'
import { comparisonSchema, wireComparison } from '../../../wire/comparison.ts'
import { existingRun } from '../runs/resolve-run.ts'

const PREDICTIONS = 'predictions.safetensors'
/** A comparison takes a core; further ones are asked to come again. */
const AT_ONCE = 2

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  let atWork = 0

  app.get('/', {
    config: { role: 'read' },
    schema: {
      tags: ['runs'],
      summary: 'Compare two evaluations that were tested on the same images',
      description:
        "Differences of AUROC and AUPRC with a paired bootstrap by patient, and DeLong's test for each label, corrected by Holm.",
      querystring: z.strictObject({
        first: runIdParams.shape.id,
        second: runIdParams.shape.id,
        resamples: z.coerce.number().int().min(0).max(10_000).default(1000),
      }),
      response: { 200: comparisonSchema, ...problems(400, 401, 403, 404, 409, 422, 503) },
    },
    handler: async (request) => {
      const { first, second, resamples } = request.query
      const [a, b] = [await testedRun('first', first), await testedRun('second', second)]
      if (atWork >= AT_ONCE)
        throw new HttpProblem(503, 'comparisons-at-work', 'other comparisons are at work; ask again in some seconds')
      atWork++
      try {
        const [firstBytes, secondBytes] = [
          await deps.objectStore.get(predictionsOf(a)),
          await deps.objectStore.get(predictionsOf(b)),
        ]
        const comparison = await deps.compare({ first: firstBytes, second: secondBytes, resamples })
        return wireComparison(comparison, a, b, resamples)
      } finally {
        atWork--
      }
    },
  })

  /** @throws HttpProblem where the run is no evaluation, or has not succeeded. */
  async function testedRun(field: string, id: string): Promise<RunDetail> {
    const run = await existingRun(deps.reader, id)
    if (run.kind !== 'evaluate')
      throw invalidField(`?${field}`, 'not-an-evaluation', `run ${id} is no evaluation but ${run.kind}`)
    if (run.state !== 'succeeded')
      throw new HttpProblem(409, 'run-not-succeeded', `run ${id} is ${run.state}; only results can be compared`)
    return run
  }
}

const predictionsOf = (run: RunDetail) => `runs/${run.id}/${PREDICTIONS}`

export default routes
