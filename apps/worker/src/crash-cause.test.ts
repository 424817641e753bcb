import { describe, expect, it } from 'vitest'
import { causeIn } from './crash-cause.ts'

describe('causeIn', () => {
  it.each([
    ["terminate called after throwing an instance of 'std::bad_alloc'", 'out-of-memory'],
    ['Non-zero status code: Failed to allocate memory for requested buffer of size 1048576', 'out-of-memory'],
    ['FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory', 'out-of-memory'],
    ['RESOURCE_EXHAUSTED: OOM when allocating tensor with shape[256,197,768]', 'out-of-memory'],
    ['failed to allocate 2.00GiB from device: CUDA_ERROR_OUT_OF_MEMORY: out of memory', 'out-of-memory'],
    ['CUBLAS_STATUS_ALLOC_FAILED', 'out-of-memory'],
    ['CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered', 'device'],
    ['NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.', 'device'],
    ['CUDA error: device-side assert triggered', 'device'],
    ['CUDNN_STATUS_INTERNAL_ERROR: unspecified launch failure', 'device'],
    ['uncorrectable ECC error; then: out of memory', 'device'],
    ["TypeError: Cannot read properties of undefined (reading 'shape')", undefined],
    ['the taxid 12 of a record', undefined],
    ['', undefined],
  ])('of "%s" is %s', (text, kind) => {
    expect(causeIn(text)?.kind).toBe(kind)
  })

  it('never quotes what was printed', () => {
    expect(causeIn('patient p1234: CUDA out of memory')?.words).toBe('the GPU ran out of memory')
  })
})
