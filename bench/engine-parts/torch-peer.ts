/** The same ViT-Tiny step in PyTorch, one step a request, so that its samples can lie between ours. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface TorchPeer {
  readonly version: string
  /** Runs one step; its milliseconds. */
  stepMs(): Promise<number>
  stop(): Promise<void>
}

/** The peer, or the reason why there is none. */
export async function startTorchPeer(
  python: string,
  images: number,
  threads: number,
): Promise<TorchPeer | { readonly absent: string }> {
  const script = fileURLToPath(new URL('../vit_torch.py', import.meta.url))
  const child = spawn(python, [script, String(images), String(threads)], { stdio: ['pipe', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr.on('data', (text: Buffer) => {
    complaint += text
  })
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject)
  })
  failed.catch(() => undefined)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextLine = async (): Promise<string | undefined> => {
    const { value, done } = await Promise.race([lines.next(), failed])
    return done ? undefined : value
  }
  let version: string | undefined
  try {
    version = await nextLine()
  } catch (error) {
    return { absent: `${python}: ${error instanceof Error ? error.message : String(error)}` }
  }
  if (version === undefined) return { absent: `${python}: ${complaint.trim().split('\n').at(-1) ?? 'it ended at once'}` }
  return {
    version,
    async stepMs() {
      child.stdin.write('step\n')
      const line = await nextLine()
      if (line === undefined) throw new Error(`the torch peer ended: ${complaint.trim().split('\n').at(-1)}`)
      return Number(line)
    },
    stop: () => stop(child),
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = once(child, 'exit')
  child.stdin?.end()
  await ended
}
