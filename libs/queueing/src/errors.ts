/** The service behind QUEUE_URL could not be used; one sentence that names it, without its credentials. */
export class QueueUnreachableError extends Error {
  readonly code = 'queue-unreachable'
  override readonly name = 'QueueUnreachableError'
}

/** QUEUE_URL is not an address of a queue. */
export class QueueUrlError extends Error {
  readonly code = 'queue-url'
  override readonly name = 'QueueUrlError'
}

/** A message that must not enter the queue: a field of it is not what the queue can carry. */
export class QueueMessageError extends Error {
  readonly code = 'queue-message'
  override readonly name = 'QueueMessageError'
  readonly field: string
  constructor(field: string, message: string) {
    super(`${field}: ${message}`)
    this.field = field
  }
}
