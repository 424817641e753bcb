export { testPostgresUrl } from './postgres.ts'
export { createEmptyDatabase, createTestDatabase, type TestDatabase } from './template-database.ts'
