import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { problems } from '../../wire/common.ts'
import '../../route-config.ts'

/** What the route asks of an API key, and its refusals, in the words of OpenAPI. */
const withAccess: typeof jsonSchemaTransform = (input) => {
  const role = input.route.config?.role
  // Pages of the documentation itself have no schema.
  if (role === undefined || role === 'open' || input.schema === undefined) return jsonSchemaTransform(input)
  const { response } = input.schema as { readonly response?: object }
  const schema = { ...input.schema, response: { ...problems(401, 403), ...response } }
  const answer = jsonSchemaTransform({ ...input, schema })
  return { ...answer, schema: { ...answer.schema, security: [{ apiKey: [] }], 'x-cxrlab-role': role } as typeof answer.schema }
}

/** OpenAPI 3.1 from the routes' own schemas, at /docs/json, and a page at /docs that loads nothing from elsewhere. */
export default fp(async (app) => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'cxrlab',
        version: '1',
        description: 'Grids of pretraining experiments on chest X-rays: submit, watch, read results.',
      },
      tags: [
        { name: 'grids', description: 'submissions and their results' },
        { name: 'runs', description: 'units of work' },
        { name: 'events', description: 'what happened, in order' },
        { name: 'datasets', description: 'registered data sets' },
        { name: 'workers', description: 'who does the work' },
        { name: 'artifacts', description: 'what the object store holds' },
        { name: 'access', description: 'API keys, and who changed what' },
        { name: 'operations', description: 'health and metrics' },
      ],
      components: {
        securitySchemes: {
          apiKey: { type: 'http', scheme: 'bearer', description: 'cxrlab_...; not needed where API_AUTH is off' },
        },
      },
    },
    transform: withAccess,
    transformObject: jsonSchemaTransformObject,
  })
  // In a context of its own: its pages show the interface, no data, so they need no key.
  await app.register(async (pages) => {
    pages.addHook('onRoute', (route) => {
      route.config = { ...route.config, role: 'open' }
    })
    await pages.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      transformStaticCSP: () =>
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
    })
  })
})
