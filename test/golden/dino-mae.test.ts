/** DINO and MAE on every engine, within the float32 tolerances of the golden files. */
import { beforeEach, describe, expect, it } from 'vitest'
import { createExecutor, ENGINES, tensorflowBuild } from '#libs/engine'
import { dinoMaeCases } from './dino-mae-cases.ts'
import { checkCase } from './golden-case.ts'

describe.each(ENGINES)(
  'the %s engine meets the golden numbers (tensorflow: skipped until npm run engine:tensorflow)',
  (engine) => {
    beforeEach(({ skip }) => skip(engine === 'tensorflow' && tensorflowBuild() === null, 'not built here'))

    it.each(dinoMaeCases().map((golden) => [golden.name, golden] as const))('%s', async (_, golden) => {
      const worst = await checkCase(golden, createExecutor(engine, { threads: 2 }))
      expect(worst.checks).toBeGreaterThan(0)
      expect(worst.share).toBeLessThanOrEqual(1)
    })
  },
)
