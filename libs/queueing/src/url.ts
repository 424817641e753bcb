import { QueueUrlError } from './errors.ts'

export type QueueServer = 'redis' | 'postgres'

/** Which server an address belongs to. @throws QueueUrlError */
export function serverOf(url: string): QueueServer {
  switch (URL.canParse(url) ? new URL(url).protocol : '') {
    case 'redis:':
    case 'rediss:':
      return 'redis'
    case 'postgres:':
    case 'postgresql:':
      return 'postgres'
    default:
      throw new QueueUrlError('the queue address must start with redis://, rediss://, postgres:// or postgresql://')
  }
}

/** Host and port of an address, for messages: never its user or password. */
export function hostOf(url: string): string {
  const { host } = new URL(url)
  return host || 'the local socket'
}

/** What went wrong, in one line. A name with several addresses fails with an AggregateError, whose own message is empty. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && !error.message) return error.errors.map(reasonOf).join(', ')
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}
