import { createServer } from 'node:net'
import { LabError } from '../errors.ts'

/** `port` where it can be listened on at loopback, a free one for 0. @throws LabError that says why not. */
export async function usablePort(port: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => reject(portError(port, error)))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port))
    })
  })
}

/** A free port that is not `taken`, which nobody listens on yet. */
export async function otherPort(taken: number): Promise<number> {
  const port = await usablePort(0)
  return port === taken ? await otherPort(taken) : port
}

function portError(port: number, error: NodeJS.ErrnoException): LabError {
  const options = { cause: error }
  if (error.code === 'EADDRINUSE')
    return new LabError('port-in-use', `port ${port} is in use; choose another with --port`, options)
  if (error.code === 'EACCES') {
    return new LabError('port-forbidden', `port ${port} may not be opened by this user; choose another with --port`, options)
  }
  return new LabError('port-unusable', `port ${port} cannot be used: ${error.message}`, options)
}
