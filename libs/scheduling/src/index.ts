export * from './backoff.ts'
