import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type DatasetOptions, datasetOptionProblems, NO_DATASET_OPTIONS } from '#libs/experiments'
import type { ApiDeps, ApiOptions } from '../../../deps.ts'
import { invalidField, notFound } from '../../../errors.ts'
import { problems } from '../../../wire/common.ts'
import { datasetCheckSchema, datasetInputSchema, datasetSchema, wireDataset } from '../../../wire/dataset.ts'
import { type Asked, allowedAddress } from './allowed-root.ts'

const tags = ['datasets']

/** Resolves the addresses of a registration. @throws HttpProblem 422 for the first that may not be read. */
async function allowedDataset(body: z.output<typeof datasetInputSchema>, roots: readonly string[]) {
  const { kind, root, mimicIv = null, split = null, splitRule = split === null ? 'official' : 'file' } = body
  const [problem] = datasetOptionProblems(kind, { mimicIv, split, splitRule })
  if (problem) throw invalidField(`/${problem.field}`, 'option-contradicts', problem.message)
  const resolve = async (address: string | null, field: Asked['field']) =>
    address === null ? null : await allowedAddress({ address, field }, roots)
  const real = await allowedAddress({ address: root, field: 'root' }, roots)
  const options: DatasetOptions = {
    mimicIv: await resolve(mimicIv, 'mimicIv'),
    split: await resolve(split, 'split'),
    splitRule,
  }
  return { kind, root: real, options }
}

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps; readonly options: ApiOptions }> = async (
  app,
  { deps, options },
) => {
  app.post('/', {
    config: { role: 'admin', action: 'dataset.register' },
    schema: {
      tags,
      summary: 'Register a data set',
      description:
        'Hashes its tables and asks for the size of each image, which takes a while for a large one. The same again changes nothing.',
      body: datasetInputSchema,
      response: { 200: datasetSchema, 201: datasetSchema, ...problems(409, 422) },
    },
    handler: async (request, reply) => {
      const { name } = request.body
      request.auditSubject = name
      const address = await allowedDataset(request.body, options.datasetRoots)
      const fingerprint = await deps.fingerprint(address)
      const known = await deps.datasets.dataset(name)
      const dataset = await deps.datasets.register({ name, ...address, fingerprint })
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

  app.get('/:name/check', {
    config: { role: 'read' },
    schema: {
      tags,
      summary: 'Count what a data set holds',
      description:
        'Reads its tables and asks for the size of each image, which takes a while for a large one: images by split, view and label, missing files, patients across splits, EHR coverage.',
      params: z.object({ name: z.string() }),
      response: { 200: datasetCheckSchema, ...problems(404) },
    },
    handler: async (request) => {
      const dataset = await deps.datasets.dataset(request.params.name)
      if (!dataset) throw notFound('dataset', request.params.name)
      const { kind, root, options = NO_DATASET_OPTIONS, fingerprint } = dataset
      const check = await deps.checkDataset({ kind, root, options, fingerprint })
      return { ...check, splits: [...check.splits], warnings: [...check.warnings] }
    },
  })
}

export default routes
