import type { FastifyInstance } from 'fastify'
import { onTestFinished } from 'vitest'
import { buildApp } from '../build-app.ts'
import type { ApiOptions } from '../deps.ts'
import { type FakeLab, fakeLab, TEST_OPTIONS } from './fakes.ts'

/** An app on fakes that is closed when the test ends. */
export async function appOnFakes(
  options: Partial<ApiOptions> = {},
): Promise<{ readonly app: FastifyInstance; readonly lab: FakeLab }> {
  const lab = fakeLab()
  const app = await buildApp(lab.deps, { ...TEST_OPTIONS, ...options })
  onTestFinished(async () => await app.close())
  return { app, lab }
}
