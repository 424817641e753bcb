export * from './logger.ts'
export * from './metric-definitions.ts'
export * from './redaction.ts'
export * from './registry.ts'
