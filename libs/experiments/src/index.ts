export * from './grid-plan.ts'
export * from './grid-request.ts'
export * from './spec.ts'
export * from './vocabulary.ts'
