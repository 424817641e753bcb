/** Start of the thread that compares. Plain JavaScript: a thread does not inherit its process's loader of TypeScript. */
import { register } from 'tsx/esm/api'

register()
await import('./comparison-thread.ts')
