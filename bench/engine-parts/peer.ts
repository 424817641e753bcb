/** A contender in a process of its own: it gets ready, says so in one line of JSON, then does one step a line. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Sample, sampled } from './processor-time.ts'

export interface Peer<Ready> {
  readonly ready: Ready
  /** One step; `what` goes to the process as the line that asks for it. */
  sample(what: string): Promise<Sample>
  /** What the process says in answer to a line that asks for no step. */
  ask(what: string): Promise<string>
  stop(): Promise<void>
}

/** The contender, or why there is none. */
export async function startPeer<Ready>(
  command: string,
  args: readonly string[],
): Promise<Peer<Ready> | { readonly absent: string }> {
  // Huge pages, as a worker gives them to its children (apps/worker/src/config.ts); PyTorch has them here as well.
  const env = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1', ...process.env }
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env })
  let complaint = ''
  child.stderr.on('data', (text: Buffer) => {
    complaint = (complaint + text).slice(-4000)
  })
  const failed = new Promise<never>((_, reject) => child.once('error', reject))
  failed.catch(() => undefined)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const lastWords = (): string => complaint.trim().split('\n').at(-1) || 'it ended without a word'
  const line = async (): Promise<string> => {
    const { value, done } = await Promise.race([lines.next(), failed])
    if (done) throw new Error(lastWords())
    return value
  }
  const ask = (what: string): Promise<string> => {
    child.stdin.write(`${what}\n`)
    return line()
  }
  try {
    const ready = JSON.parse(await line()) as Ready
    const sample = (what: string): Promise<Sample> => sampled(child.pid!, async () => Number(await ask(what)))
    return { ready, sample, ask, stop: () => stop(child) }
  } catch (error) {
    return { absent: `${command}: ${error instanceof Error ? error.message : String(error)}` }
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.stdin?.end()
  await ended
}
