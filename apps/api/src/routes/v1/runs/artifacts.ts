/** Files of a run in the object store: listed, and streamed. They never change once written. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { checkKey, InvalidKeyError } from '#libs/artifacts'
import type { ApiDeps, ApiOptions } from '../../../deps.ts'
import { notFound } from '../../../errors.ts'
import { flag, problems, runIdParams } from '../../../wire/common.ts'
import { runArtifactsSchema } from '../../../wire/run.ts'
import { existingRun, resolveRun } from './resolve-run.ts'

const tags = ['runs']
/** A pack of a whole data set has some hundred shards; more files than this are not listed. */
const LISTED_FILES = 10_000

/** Long enough to begin a download; one that has begun goes on after it. */
const ADDRESS_SECONDS = 300

const folderOf = (runId: string) => `runs/${runId}/`

interface Options {
  readonly deps: ApiDeps
  readonly options: Pick<ApiOptions, 'artifactDownloads'>
}

export const artifactRoutes: FastifyPluginAsyncZod<Options> = async (app, { deps, options }) => {
  const presigned = async (key: string) =>
    options.artifactDownloads === 'presigned' ? await deps.objectStore.presignGet(key, ADDRESS_SECONDS) : null

  app.get('/:id/artifacts', {
    config: { role: 'read' },
    schema: {
      tags,
      summary: 'Artifacts of a run and its files',
      params: runIdParams,
      response: { 200: runArtifactsSchema, ...problems(400, 404, 422) },
    },
    handler: async (request) => {
      const run = await existingRun(deps.reader, request.params.id)
      return { artifacts: run.artifacts.map((artifact) => ({ ...artifact })), files: await filesOf(deps.objectStore, run.id) }
    },
  })

  // Packs are patients' images, predictions hold their labels: a key that only watches does not reach them.
  app.get('/:id/artifacts/*', {
    config: { role: 'submit' },
    schema: {
      tags,
      summary: 'One file of a run',
      params: runIdParams.extend({ '*': z.string().min(1).max(400) }),
      description:
        'Answers with the bytes, or with 302 to an address at the object store that holds for five minutes; `stream=true` asks for the bytes.',
      querystring: z.strictObject({ stream: flag }),
      produces: ['application/octet-stream'],
      response: { 302: z.null(), ...problems(400, 401, 403, 404, 422) },
    },
    handler: async (request, reply) => {
      const path = request.params['*']
      const { stream } = request.query
      const key = keyOf(await resolveRun(deps.reader, request.params.id), path)
      const head = key === undefined ? undefined : await deps.objectStore.head(key)
      if (head === undefined) throw notFound('artifact', path)
      const address = stream || request.method === 'HEAD' ? null : await presigned(head.key)
      if (address !== null) return reply.header('cache-control', 'no-store').redirect(address, 302) as never
      reply.header('content-type', path.endsWith('.json') ? 'application/json' : 'application/octet-stream')
      reply.header('content-length', head.sizeBytes)
      reply.header('cache-control', 'private, immutable, max-age=31536000')
      return reply.send((await deps.objectStore.stream(head.key)) as never)
    },
  })
}

async function filesOf(store: ApiDeps['objectStore'], runId: string) {
  const prefix = folderOf(runId)
  const files: { path: string; sizeBytes: number }[] = []
  for await (const { key, sizeBytes } of store.list(prefix)) {
    if (files.length === LISTED_FILES) break
    files.push({ path: key.slice(prefix.length), sizeBytes })
  }
  return files
}

/** Undefined for a path that no file can have: it is then simply not there. */
function keyOf(runId: string, path: string): string | undefined {
  try {
    return checkKey(`${folderOf(runId)}${path}`)
  } catch (error) {
    if (error instanceof InvalidKeyError) return undefined
    throw error
  }
}
