export * from './ports.ts'
export * from './states.ts'
