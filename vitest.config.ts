import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['libs/**/*.test.ts', 'apps/**/*.test.ts', 'test/**/*.test.ts', 'tools/**/*.test.ts'],
    globalSetup: ['libs/testkit/src/global-setup.ts'],
    pool: 'forks',
    // Two cores are the smallest machine that the suite must pass on; integration files start real services.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
