import { describe, expect, it } from 'vitest'
import { encodeSafetensors } from '#libs/artifacts'
import { appOnFakes } from '../../../testing/app.ts'
import { RUN_ID, runOf } from '../../../testing/fakes.ts'

const [A, B, FAILED] = ['b', 'c', 'd'].map((digit) => digit.repeat(64)) as [string, string, string]

function predictions(scores: readonly number[], label = 'Effusion'): Buffer {
  const tensors = {
    scores: { shape: [4, 1], data: Float32Array.from(scores) },
    labels: { shape: [4, 1], data: Uint8Array.from([0, 0, 1, 1]) },
    patients: { shape: [4], data: Int32Array.from([0, 1, 2, 3]) },
  }
  return Buffer.from(encodeSafetensors(tensors, { labels: JSON.stringify([label]), samples: '["a","b","c","d"]' }))
}

async function withRuns() {
  const made = await appOnFakes()
  const evaluation = { kind: 'evaluate', title: 'evaluate linear' } as const
  made.lab.runs.push(runOf({ id: A, ...evaluation }), runOf({ id: B, ...evaluation }))
  made.lab.runs.push(runOf({ id: FAILED, ...evaluation, state: 'failed' }))
  made.lab.files.set(`runs/${A}/predictions.safetensors`, predictions([0.1, 0.2, 0.8, 0.9]))
  made.lab.files.set(`runs/${B}/predictions.safetensors`, predictions([0.1, 0.8, 0.2, 0.9]))
  return made
}

describe('GET /v1/compare', () => {
  it('compares two evaluations by prefixes of their ids', async () => {
    const { app } = await withRuns()
    const answer = (await app.inject(`/v1/compare?first=${A.slice(0, 8)}&second=${B}&resamples=10`)).json()
    expect(answer).toMatchObject({
      first: { id: A, title: 'evaluate linear' },
      second: { id: B },
      images: 4,
      patients: 4,
      resamples: 10,
      rows: [
        { label: 'macro', metric: 'auroc', difference: 0.25 },
        {},
        { label: 'Effusion', delong: { first: 1, second: 0.75 } },
        {},
      ],
    })
  })

  it.each([
    ['a run that is no evaluation', RUN_ID, 422, 'request-invalid'],
    ['a run that has failed', FAILED, 409, 'run-not-succeeded'],
    ['a run that is not there', 'e'.repeat(64), 404, 'unknown-run'],
  ])('refuses %s', async (_what, second, status, code) => {
    const { app } = await withRuns()
    const answer = await app.inject(`/v1/compare?first=${A}&second=${second}`)
    expect(answer.json()).toMatchObject({ status, code })
  })

  it('refuses tests that do not fit each other, and predictions that are gone', async () => {
    const { app, lab } = await withRuns()
    lab.files.set(`runs/${B}/predictions.safetensors`, predictions([0, 0, 1, 1], 'Hernia'))
    expect((await app.inject(`/v1/compare?first=${A}&second=${B}`)).json()).toMatchObject({
      status: 422,
      code: 'evaluation-input',
    })
    lab.files.delete(`runs/${B}/predictions.safetensors`)
    expect((await app.inject(`/v1/compare?first=${A}&second=${B}`)).json()).toMatchObject({
      status: 404,
      code: 'object-not-found',
    })
    expect((await app.inject(`/v1/compare?first=${A}&second=${B}&resamples=10001`)).statusCode).toBe(422)
  })
})
