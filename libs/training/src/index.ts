export * from './draws.ts'
export * from './errors.ts'
export * from './ports.ts'
export * from './protocol.ts'
