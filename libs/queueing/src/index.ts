export * from './errors.ts'
export { createRunQueueFactory, type RunQueueFactoryOptions } from './factory.ts'
export { QUEUE_TIMING, type QueueTiming } from './timing.ts'
