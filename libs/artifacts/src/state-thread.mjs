/** Start of the thread that writes checkpoints. Plain JavaScript: a thread does not inherit its process's loader of TypeScript. */
import { register } from 'tsx/esm/api'

register()
await import('./state-thread.ts')
