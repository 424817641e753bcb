/** Measurements of a run: pages of points, a stream of them, and series summed up for charts. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiDeps } from '../../../deps.ts'
import { HttpProblem, invalidField } from '../../../errors.ts'
import { cursorSchema, resumeAfter, sendStream } from '../../../sse.ts'
import { problems, runIdParams } from '../../../wire/common.ts'
import { bucketSchema, metricSchema, wireBucket, wireMetric, wireMetricPoint } from '../../../wire/metric.ts'
import { resolveRun } from '../runs/resolve-run.ts'
import { pointsAfter } from './metric-stream.ts'

const tags = ['runs']
const metricName = z.string().min(1).max(120)
const step = z.coerce.number().int().min(0)

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  const { reader, series } = deps
  // Streams end with the server: Fastify's close waits for them otherwise.
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort())

  app.get('/:id/metrics', {
    config: { role: 'read' },
    sse: 'dual',
    schema: {
      tags,
      summary: 'Measurements of a run by step',
      description:
        'For the next page ask with afterStep = nextAfterStep; null: there is no more for now. With Accept: text/event-stream an ' +
        'endless stream of points (MetricPoint) as they come, within a second of their storing, resumed by Last-Event-ID.',
      params: runIdParams,
      querystring: z.strictObject({
        name: metricName.optional(),
        afterStep: z.coerce.number().int().min(-1).optional().describe('of a JSON page'),
        limit: z.coerce.number().int().min(1).max(10_000).default(1000).describe('of a JSON page'),
        after: cursorSchema.default('0').describe('of a stream: points after this message; 0: from the first'),
      }),
      response: {
        200: z.object({ items: z.array(metricSchema), nextAfterStep: z.int().nullable() }),
        ...problems(400, 401, 403, 404, 422),
      },
    },
    handler: async (request, reply): Promise<never> => {
      const { name, afterStep, limit, after } = request.query
      const runId = await resolveRun(reader, request.params.id)
      if (reply.sse !== undefined) {
        const start = resumeAfter(reply, after)
        await sendStream(request, reply, closing.signal, async function* (signal) {
          for await (const point of pointsAfter(series, runId, start, signal)) {
            if (name !== undefined && point.name !== name) continue
            yield { id: point.seq.toString(), event: 'metric', data: wireMetricPoint(point) }
          }
        })
        return reply as never
      }
      const found = await reader.metrics(runId, { ...(name && { name }), ...(afterStep !== undefined && { afterStep }), limit })
      const { items, nextAfterStep } = wholeSteps(found, limit)
      return { items: items.map(wireMetric), nextAfterStep } as never
    },
  })

  app.get('/:id/metrics/names', {
    config: { role: 'read' },
    schema: {
      tags,
      summary: 'Names of the metrics that the run has',
      params: runIdParams,
      response: { 200: z.object({ items: z.array(z.string()) }), ...problems(400, 401, 403, 404, 422) },
    },
    handler: async (request) => ({ items: [...(await series.metricNames(await resolveRun(reader, request.params.id)))] }),
  })

  app.get('/:id/metrics/series', {
    config: { role: 'read' },
    schema: {
      tags,
      summary: 'One metric summed up for a chart: minimum, maximum and mean of each bucket of steps',
      description: 'At most `buckets` buckets of equally many steps, in order. A step that was repeated counts once.',
      params: runIdParams,
      querystring: z.strictObject({
        name: metricName,
        buckets: z.coerce.number().int().min(1).max(2000).default(200),
        fromStep: step.optional(),
        toStep: step.optional(),
      }),
      response: { 200: z.object({ items: z.array(bucketSchema) }), ...problems(400, 401, 403, 404, 422) },
    },
    handler: async (request) => {
      const { name, buckets, fromStep, toStep } = request.query
      if (fromStep !== undefined && toStep !== undefined && fromStep > toStep) {
        throw invalidField('?toStep', 'range-empty', `fromStep ${fromStep} comes after toStep ${toStep}`)
      }
      const range = { ...(fromStep !== undefined && { fromStep }), ...(toStep !== undefined && { toStep }) }
      const runId = await resolveRun(reader, request.params.id)
      return { items: (await series.series(runId, { name, buckets, ...range })).map(wireBucket) }
    },
  })
}

/**
 * Points come in order of step, and `afterStep` starts after a whole step: so a full page drops its last, perhaps incomplete
 * step.
 */
export function wholeSteps<T extends { readonly step: number }>(
  points: readonly T[],
  limit: number,
): { readonly items: readonly T[]; readonly nextAfterStep: number | null } {
  const last = points.at(-1)
  if (points.length < limit || last === undefined) return { items: points, nextAfterStep: null }
  const items = points.filter(({ step }) => step < last.step)
  const before = items.at(-1)
  if (before === undefined)
    throw new HttpProblem(422, 'limit-too-small', 'one step alone has more points than the limit; raise it')
  return { items, nextAfterStep: before.step }
}

export default routes
