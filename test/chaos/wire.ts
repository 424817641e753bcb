/** A wire that can be cut: every connection of a worker to a server goes through it. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Wire {
  /** `url` with this wire's address in place of the server's. */
  readonly url: string
  /** `cut`: connections break and none is made. `silent`: they stay, and nothing passes any more. */
  part(how: 'cut' | 'silent'): void
  /** Everything passes again; what was held back in silence arrives late. */
  heal(): void
  close(): Promise<void>
}

export async function startWire(url: string): Promise<Wire> {
  const target = new URL(url)
  const port = Number(target.port)
  let parted: 'cut' | 'silent' | null = null
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    if (parted === 'silent') socket.pause()
  }
  const server = createServer((near) => {
    if (parted === 'cut') return near.destroy()
    const far = connect(port, target.hostname)
    keep(near)
    keep(far)
    pass(near, far)
    pass(far, near)
  })
  const pass = (from: Socket, to: Socket) => {
    from.on('data', (chunk) => {
      if (!to.destroyed) to.write(chunk)
    })
    from.on('close', () => to.destroy())
    if (parted === 'silent') from.pause()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const own = new URL(url)
  own.port = String(address.port)
  return {
    url: own.href,
    part(how) {
      parted = how
      for (const socket of sockets) how === 'cut' ? socket.destroy() : socket.pause()
    },
    heal() {
      parted = null
      for (const socket of sockets) socket.resume()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
