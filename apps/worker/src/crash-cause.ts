/** Why a runtime died, from what it printed: TensorFlow, ONNX Runtime, CUDA, V8 and the C++ library. Pure. */

export interface CrashCause {
  /** `device`: the accelerator failed, and will fail the next run as well. */
  readonly kind: 'out-of-memory' | 'device'
  /** For the user; never the printed text itself. */
  readonly words: string
}

const memory = (words: string): CrashCause => ({ kind: 'out-of-memory', words })
const device = (words: string): CrashCause => ({ kind: 'device', words })

/** First match wins: a failed device often reports failed allocations after it. */
const SIGNS: readonly (readonly [sign: RegExp, cause: CrashCause])[] = [
  [/uncorrectable ECC|ECC[_ ]UNCORRECTABLE|double[- ]bit ECC/i, device('the GPU reported an uncorrectable memory error (ECC)')],
  [/device-side assert|CUDA_ERROR_ASSERT/i, device('a check failed on the GPU (device-side assert)')],
  [/\bXid\b[^\n]{0,80}\d/i, device('the GPU driver reported a fault (Xid)')],
  [
    /GPU is lost|fallen off the bus|CUDA_ERROR_(DEVICE_UNAVAILABLE|SYSTEM_NOT_READY|LAUNCH_FAILED|ILLEGAL_INSTRUCTION)|unspecified launch failure/i,
    device('the GPU was lost'),
  ],
  [/JavaScript heap out of memory|Reached heap limit/i, memory('the process ran out of JavaScript heap')],
  [
    /CUDA(_ERROR|:)?[ _]*out[ _]of[ _]memory|cudaMalloc[^\n]{0,40}fail|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED/i,
    memory('the GPU ran out of memory'),
  ],
  [
    /Resource[ _]?Exhausted|OOM when allocating|bad[_ ]alloc|bad allocation|failed to allocate memory|cannot allocate memory|array buffer allocation failed|\bout of memory\b/i,
    memory('the process ran out of memory'),
  ],
]

export function causeIn(text: string): CrashCause | undefined {
  return SIGNS.find(([sign]) => sign.test(text))?.[1]
}
