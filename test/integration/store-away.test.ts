/** An object store that refuses a run's files from its first checkpoint on: training goes on, and the run ends once they are there. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ChildLab, checkpointsOf, openChildLab, pretrainAssignment, runChild, tinyPretrain } from './fixtures/real-child.ts'

const RUN = '4d'.repeat(32)

let lab: ChildLab
beforeAll(async () => {
  lab = await openChildLab()
})
afterAll(() => lab?.close())

it('the child trains to its end, waits with signs of life, and succeeds when the store takes its files again', async () => {
  // A file where the run's folder would be: every write below it fails, as on a share that went away.
  const inTheWay = join(fileURLToPath(lab.storeUrl), 'runs', RUN)
  await writeFile(inTheWay, '')
  let atTheEnd = 0
  let committedBefore = 0
  let back: Promise<void> | undefined
  const spec = tinyPretrain(31, { epochs: 2 })
  const { exit, why, messages } = await runChild(lab.storeUrl, pretrainAssignment(RUN, spec, { checkpointEveryMs: 1 }), {
    onMessage: (message) => {
      if (back === undefined && message.type === 'checkpoint-committed') committedBefore++
      if (message.type !== 'progress' || message.done < message.total) return
      // The first time the training is over; from the second on it is a sign of life of one that waits.
      if (++atTheEnd === 2) back = rm(inTheWay)
    },
  })
  await back
  expect(exit.code, why).toBe(0)
  expect(committedBefore).toBe(0)
  expect(atTheEnd).toBeGreaterThanOrEqual(2)
  expect(messages.at(-1)?.type).toBe('done')
  expect((await checkpointsOf(lab.store, RUN).load('final')).step).toBe(24)
  expect((await checkpointsOf(lab.store, RUN).latest())?.step).toBeLessThan(24)
})
