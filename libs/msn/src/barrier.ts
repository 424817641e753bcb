/** An order between operations that no data flow asks for. */
import type { Tensor, TensorInfo } from '@tensorflow/tfjs'
import { tf } from './tf.ts'

const BARRIER = 'Barrier'

/** tfjs's CPU backend counts who holds an array, so that the result can be the input itself. */
interface CountingBackend {
  incRef(dataId: object): void
}

/** tfjs has no such kernel; the CPU backend runs op by op in the order of the calls, so there it only hands its input on. */
function register(): void {
  if (tf.getKernel(BARRIER, 'cpu')) return
  tf.registerKernel({
    kernelName: BARRIER,
    backendName: 'cpu',
    kernelFunc: ({ inputs, backend }) => {
      const { dataId, shape, dtype } = inputs.x as TensorInfo
      ;(backend as CountingBackend).incRef(dataId)
      return { dataId, shape, dtype }
    },
  })
}

/**
 * `x`, but not before all of `after` are computed. A compiled step neither removes this nor takes two of them for one, so what
 * follows is computed anew, and later: memory instead of time. It has no gradient: use it outside differentiated functions.
 * @param after at least one tensor, each with at least one element
 */
export function barrier(x: Tensor, after: readonly Tensor[]): Tensor {
  register()
  return tf.engine().runKernel(BARRIER, { x, ...Object.fromEntries(after.map((tensor, i) => [`after${i}`, tensor])) }) as Tensor
}
