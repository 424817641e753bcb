/**
 * Exact resume, on the worker's real child process: killed with SIGKILL at steps drawn from a seed, taken up by a fresh process
 * from the last whole checkpoint, it ends with the weights of a run that nobody disturbed, bit for bit.
 */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { resolveEngine } from '#libs/engine'
import { drawsOf, type FromChild } from '#libs/training'
import {
  type ChildLab,
  type ChildRun,
  checkpointsOf,
  differing,
  openChildLab,
  pretrainAssignment,
  runChild,
  TINY_STEPS,
  tinyPretrain,
} from './fixtures/real-child.ts'

const KILLS = 2

let lab: ChildLab
beforeAll(async () => {
  lab = await openChildLab()
})
afterAll(() => lab?.close())

const runIdOf = (...parts: readonly (string | number)[]) => createHash('sha256').update(parts.join()).digest('hex')
const summaryOf = ({ messages }: ChildRun) => messages.find((message) => message.type === 'done')?.summary
const committedStep = (message: FromChild) =>
  message.type === 'checkpoint-committed' && message.role === 'periodic' ? message.step : 0
/** How far the child had come at least when it sent the message. */
const reachedStep = (message: FromChild) =>
  message.type === 'metrics' ? Math.max(0, ...message.points.map(([step]) => step)) : committedStep(message)

/** Steps at which a seed kills, and the cadence that it writes checkpoints at: as often as they can be written, or less. */
function killPlan(seed: number) {
  const uniform = drawsOf({ seed, purpose: 'kill' })
  const steps = Array.from({ length: KILLS }, () => 2 + Math.floor(uniform() * (TINY_STEPS / 2))).sort((a, b) => a - b)
  return { steps, checkpointEveryMs: 1 + Math.floor(uniform() * 60) }
}

const hasTensorflow = resolveEngine('auto').engine === 'tensorflow'
if (!hasTensorflow) console.warn('resume on TensorFlow is skipped: npm run engine:tensorflow builds it')

describe.each(['onnx', ...(hasTensorflow ? ['tensorflow'] : [])])(
  'a pretraining on %s whose child is killed with SIGKILL',
  (engine) => {
    it.each([11, 12, 13])(
      'at steps drawn from seed %i ends with the weights of an undisturbed run, bit for bit',
      async (seed) => {
        const spec = tinyPretrain(seed)
        const undisturbed = runIdOf(engine, seed, 'undisturbed')
        const whole = await runChild(lab.storeUrl, pretrainAssignment(undisturbed, spec), { engine })
        expect(whole.exit.code, whole.why).toBe(0)

        const killed = runIdOf(engine, seed, 'killed')
        const { steps, checkpointEveryMs } = killPlan(seed)
        const assignment = pretrainAssignment(killed, spec, { checkpointEveryMs })
        let committed = 0
        for (const step of steps) {
          const { exit, why } = await runChild(lab.storeUrl, assignment, {
            engine,
            onMessage: (message, child) => {
              committed = Math.max(committed, committedStep(message))
              if (reachedStep(message) >= step && committed > 0) child.kill('SIGKILL')
            },
          })
          expect(exit.signal, why).toBe('SIGKILL')
        }
        const last = await runChild(lab.storeUrl, assignment, { engine })
        expect(last.exit.code, last.why).toBe(0)
        const resumedFrom = Number(summaryOf(last)?.resumedFromStep)
        // What was said to be committed is there; the kill may have come just after the next one was written.
        expect(resumedFrom).toBeGreaterThanOrEqual(committed)
        expect(resumedFrom).toBeLessThan(TINY_STEPS)
        console.info(`${engine}, seed ${seed}: killed from steps ${steps} on, resumed from ${resumedFrom} of ${TINY_STEPS}`)

        for (const role of ['best', 'final'] as const) {
          const expected = await checkpointsOf(lab.store, undisturbed).load(role)
          const found = await checkpointsOf(lab.store, killed).load(role)
          expect(Object.keys(found.tensors).length).toBeGreaterThan(60)
          expect(differing(expected, found), role).toEqual([])
          expect(found.meta).toEqual(expected.meta)
        }
      },
      180_000,
    )
  },
)
