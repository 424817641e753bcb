import { expect, it } from 'vitest'
import { serveMetrics } from './metrics-server.ts'

it('serves metrics and health on its address, nothing else, and lets go of the port', async () => {
  const registry = { contentType: 'text/plain; version=0.0.4', expose: async () => 'cxrlab_loss 1\n' }
  const server = await serveMetrics(registry, { host: '127.0.0.1', port: 0 })
  const base = `http://127.0.0.1:${server.port}`
  const metrics = await fetch(`${base}/metrics`)
  expect([metrics.status, metrics.headers.get('content-type'), await metrics.text()]).toEqual([
    200,
    registry.contentType,
    'cxrlab_loss 1\n',
  ])
  expect((await fetch(`${base}/healthz`)).status).toBe(200)
  expect((await fetch(`${base}/`)).status).toBe(404)
  expect((await fetch(`${base}/metrics`, { method: 'POST' })).status).toBe(404)
  await server.close()
  await expect(fetch(`${base}/metrics`)).rejects.toThrow()
})

it('answers 500 where the metrics cannot be collected', async () => {
  const expose = () => Promise.reject(new Error('collect'))
  const server = await serveMetrics({ contentType: 'text/plain', expose }, { host: '127.0.0.1', port: 0 })
  expect((await fetch(`http://127.0.0.1:${server.port}/metrics`)).status).toBe(500)
  await server.close()
})
