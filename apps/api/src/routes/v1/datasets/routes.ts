import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiDeps, ApiOptions } from '../../../deps.ts'
import { problems } from '../../../wire/common.ts'
import { datasetInputSchema, datasetSchema, wireDataset } from '../../../wire/dataset.ts'
import { allowedRoot } from './allowed-root.ts'

const tags = ['datasets']

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps; readonly options: ApiOptions }> = async (
  app,
  { deps, options },
) => {
  app.post('/', {
    config: { role: 'admin', action: 'dataset.register' },
    schema: {
      tags,
      summary: 'Register a data set',
      description: 'Hashes its files, which takes a while for a large one. The same again changes nothing.',
      body: datasetInputSchema,
      response: { 200: datasetSchema, 201: datasetSchema, ...problems(409, 422) },
    },
    handler: async (request, reply) => {
      const { name, kind } = request.body
      request.auditSubject = name
      const root = await allowedRoot(request.body.root, options.datasetRoots)
      const fingerprint = await deps.fingerprint(kind, root)
      const known = await deps.datasets.dataset(name)
      const dataset = await deps.datasets.register({ name, kind, root, fingerprint })
      return reply.code(known === undefined ? 201 : 200).send(wireDataset(dataset))
    },
  })

  app.get('/', {
    config: { role: 'read' },
    schema: { tags, summary: 'List data sets by name', response: { 200: z.object({ items: z.array(datasetSchema) }) } },
    handler: async () => {
      const datasets = await deps.datasets.datasets()
      return { items: [...datasets].sort((a, b) => a.name.localeCompare(b.name)).map(wireDataset) }
    },
  })
}

export default routes
