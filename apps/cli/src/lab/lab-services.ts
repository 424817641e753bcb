/** Api, scheduler and worker of one lab, started and stopped together. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LabError } from '../errors.ts'
import type { LabFolder } from './lab-folder.ts'
import type { LabLock } from './lab-lock.ts'
import { createServiceProcess } from './service-process.ts'

const SERVICES = [
  { name: 'api', entry: '../../../api/src/server.ts', stopWithinMs: 15_000 },
  { name: 'scheduler', entry: '../../../scheduler/src/main.ts', stopWithinMs: 15_000 },
  // Longer than the worker's own grace period, within which its runs checkpoint.
  { name: 'worker', entry: '../../../worker/src/main.ts', stopWithinMs: 75_000 },
] as const

export interface LabServicesOptions {
  readonly folder: LabFolder
  readonly lock: Pick<LabLock, 'record'>
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly note: (line: string) => void
  readonly onLog: ((service: string, line: string) => void) | undefined
}

export interface LabServices {
  start(): Promise<void>
  /** Called again it hurries them. */
  stop(): Promise<void>
  processes(): Readonly<Record<string, number | undefined>>
  /** Resolves when one of them crashed too often. */
  readonly broken: Promise<LabError>
}

export function createLabServices({ folder, lock, environment, note, onLog }: LabServicesOptions): LabServices {
  let breakDown: (error: LabError) => void = () => undefined
  const broken = new Promise<LabError>((resolve) => {
    breakDown = resolve
  })
  const services = SERVICES.map(({ name, entry, stopWithinMs }) =>
    createServiceProcess({
      name,
      entry: fileURLToPath(new URL(entry, import.meta.url)),
      environment,
      logFile: join(folder.logs, `${name}.log`),
      stopWithinMs,
      note,
      ...(onLog && { onLine: (line: string) => onLog(name, line) }),
      onGiveUp: breakDown,
      onStarted: () => {
        lock.record(children()).catch((error: unknown) => note(`cannot write ${folder.state}: ${String(error)}`))
      },
    }),
  )
  const children = () =>
    services.flatMap((service) => {
      const pid = service.pid()
      return pid === undefined ? [] : [{ name: service.name, entry: service.entry, pid }]
    })
  return {
    broken,
    async start() {
      for (const service of services) await service.start()
    },
    async stop() {
      await Promise.all(services.map((service) => service.stop()))
    },
    processes: () => Object.fromEntries(services.map((service) => [service.name, service.pid()])),
  }
}
