import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ServiceRegistry } from '#libs/telemetry'

export interface MetricsServer {
  readonly port: number
  close(): Promise<void>
}

/** Serves GET /metrics for Prometheus and GET /healthz (the event loop answers), nothing else. */
export async function serveMetrics(
  registry: Pick<ServiceRegistry<'worker'>, 'expose' | 'contentType'>,
  address: { readonly host: string; readonly port: number },
): Promise<MetricsServer> {
  const server = createServer(async (request, response) => {
    const path = request.url?.split('?')[0]
    if (request.method !== 'GET' || (path !== '/metrics' && path !== '/healthz')) return response.writeHead(404).end()
    try {
      const body = path === '/metrics' ? await registry.expose() : 'ok\n'
      response.writeHead(200, { 'content-type': path === '/metrics' ? registry.contentType : 'text/plain' }).end(body)
    } catch {
      response.writeHead(500).end()
    }
  })
  server.listen(address.port, address.host)
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => close(server) }
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
