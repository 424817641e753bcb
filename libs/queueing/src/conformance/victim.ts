/** A consumer in a process of its own, to be killed: says `taken` for the job that it then holds for ever. */
import { createLogger } from '#libs/telemetry'
import { createRunQueueFactory } from '../factory.ts'
import { TEST_TIMING } from './queue-under-test.ts'

const [url, namespace] = process.argv.slice(2)
const logger = createLogger({ service: 'test', level: 'silent' })
const factory = await createRunQueueFactory(url!, { role: 'consumer', namespace: namespace!, timing: TEST_TIMING, logger })
await factory.consume({
  resourceClass: 'cpu',
  concurrency: 1,
  onError: () => {},
  handle: (attemptId) => {
    process.send?.({ taken: attemptId })
    return new Promise(() => {})
  },
})
