export * from './engines.ts'
export * from './errors.ts'
export * from './executor.ts'
export { isOutOfMemory } from './out-of-memory.ts'
