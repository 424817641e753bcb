export { testPostgresUrl } from './postgres.ts'
export { findRedisServer, startTestRedis, type TestRedis } from './redis.ts'
export { createEmptyDatabase, createTestDatabase, type TestDatabase } from './template-database.ts'
