/** Weights from elsewhere: a file is stored under the hash of its content, and a grid with method `imported` names it. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { storeImported } from '#libs/weights'
import type { ApiDeps } from '../../../deps.ts'
import { problems } from '../../../wire/common.ts'

/** ViT-Small has 87 MB; a ViT-Large would have 1.2 GB, and no preset for it. */
const BODY_LIMIT_BYTES = 512 * 2 ** 20

const importedSchema = z.object({
  sha256: z.string().describe('what `weights` of a grid names'),
  sizeBytes: z.int(),
  sizes: z.object({ dim: z.int(), depth: z.int(), patchPx: z.int(), imagePx: z.int() }).describe('as the tensors tell them'),
})

const routes: FastifyPluginAsyncZod<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  app.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (_request, body, done) => done(null, body),
  )

  app.post('/', {
    bodyLimit: BODY_LIMIT_BYTES,
    config: { role: 'submit', action: 'weights.import' },
    schema: {
      tags: ['weights'],
      summary: "Import a ViT's weights (safetensors, timm's names and layout)",
      description: 'Send the file as application/octet-stream, 512 MiB at most. The same file again changes nothing.',
      consumes: ['application/octet-stream'],
      body: z.instanceof(Buffer),
      response: { 201: importedSchema, ...problems(401, 403, 413, 415, 422) },
    },
    handler: async (request, reply) => {
      const imported = await storeImported(deps.objectStore, request.body)
      request.auditSubject = imported.sha256
      request.auditData = { sizeBytes: imported.sizeBytes }
      return reply.code(201).send(imported)
    },
  })
}

export default routes
