import type { Socket } from 'node:net'
import fp from 'fastify-plugin'

/**
 * Closing waits for requests in flight and for nothing else. Node waits for every open connection, also for those on which a
 * client never asked anything, which HTTP clients open in advance.
 */
export default fp(async (app) => {
  const idle = new Set<Socket>()
  let closing = false
  app.server.on('connection', (socket) => {
    idle.add(socket)
    socket.once('close', () => idle.delete(socket))
  })
  app.server.on('request', ({ socket }, response) => {
    idle.delete(socket)
    response.once('close', () => {
      if (closing) socket.destroySoon()
      else if (!socket.destroyed) idle.add(socket)
    })
  })
  app.addHook('preClose', async () => {
    closing = true
    for (const socket of idle) socket.destroy()
  })
})
