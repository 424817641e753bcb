/** What the attempt's process says and how it exits, whatever its work throws. */
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { pretrainAssignment, runChild, tinyPretrain } from './fixtures/real-child.ts'

const ENTRY = fileURLToPath(new URL('./fixtures/failing-child.ts', import.meta.url))
const RUN = 'ad'.repeat(32)

const endOf = async (kind: string, message: string) => {
  const environment = { THROWN: JSON.stringify({ kind, message }) }
  const { exit, messages } = await runChild('file:///nowhere', pretrainAssignment(RUN, tinyPretrain(1)), {
    entry: ENTRY,
    environment,
  })
  return { code: exit.code, failed: messages.find((each) => each.type === 'failed') }
}

it.each([
  // ONNX Runtime's arena, its provider on CUDA, and the C++ library.
  ['error', 'Failed to allocate memory for requested buffer of size 17179869184'],
  ['cause', 'CUDA failure 2: out of memory ; GPU=0'],
  ['cause', 'std::bad_alloc'],
  // TensorFlow, on the host and on the device.
  ['cause', 'OOM when allocating tensor with shape[768,197,1536] and type float on /job:localhost/replica:0/task:0/device:GPU:0'],
  ['error', 'CUDA_ERROR_OUT_OF_MEMORY: out of memory'],
  // V8 and the system.
  ['range', 'Array buffer allocation failed'],
  ['error', 'spawn ENOMEM'],
])('%s "%s" ends as out of memory, with code 71', async (kind, message) => {
  expect(await endOf(kind, message)).toMatchObject({ code: 71, failed: { ending: 'out-of-memory' } })
})

it.each([
  ['spec', 'no such label', 64, { ending: 'spec-error', message: 'no such label (labels.csv:7)' }],
  ['mismatch', 'the checkpoint lacks prototypes', 64, { ending: 'spec-error', message: 'the checkpoint lacks prototypes' }],
  [
    'non-finite',
    'gradient of cls_token',
    70,
    { ending: 'non-finite', message: 'gradient of cls_token is not finite at step 12' },
  ],
  ['error', 'a bug', 1, { ending: 'crashed', message: 'a bug' }],
  ['stopped', 'stopped at step 3', 75, undefined],
])('%s "%s" ends with code %i', async (kind, message, code, failed) => {
  const end = await endOf(kind, message)
  expect(end.code).toBe(code)
  if (failed) expect(end.failed).toMatchObject(failed)
  else expect(end.failed).toBeUndefined()
})
