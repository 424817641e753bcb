export * from './executor.ts'
