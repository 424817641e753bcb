export { architectureOf, describeWeights, type WeightsOrigin } from './describe.ts'
export * from './export-weights.ts'
export * from './load-for-export.ts'
export * from './timm-layout.ts'
