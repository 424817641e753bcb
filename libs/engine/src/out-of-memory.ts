/**
 * Texts by which ONNX Runtime, TensorFlow, the C++ library and V8 say that memory ran out. ONNX Runtime has no error class for it:
 * its arena says "Failed to allocate memory for requested buffer of size N", a failed `new` ends as "std::bad_alloc".
 * TensorFlow says "OOM when allocating tensor with shape[...]"; its status's name does not reach JavaScript.
 */
const OUT_OF_MEMORY =
  /failed to allocate memory|bad[_ ]alloc|bad allocation|out of memory|OOM when allocating|array buffer allocation failed|cannot allocate memory|ALLOC_FAILED|ENOMEM/i

/** Whether `error`, or one of its causes, says that memory ran out. A smaller micro-batch may then help. */
export function isOutOfMemory(error: unknown): boolean {
  for (let cause: unknown = error, depth = 0; cause !== undefined && cause !== null && depth < 8; depth++) {
    const message = cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : ''
    if (OUT_OF_MEMORY.test(message)) return true
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return false
}
