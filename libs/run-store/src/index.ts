export { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from './embedded/postgres.ts'
export * from './errors.ts'
export { assertSchema, MIGRATIONS_DIR, migrate, type SchemaState, schemaState } from './migrate.ts'
export { openRunStore, type RunStore } from './open.ts'
