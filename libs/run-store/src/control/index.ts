/** What people do to runs and grids, each in one transaction. */
import type { RunControl } from '#libs/runs'
import type { Database } from '../database.ts'
import { cancel } from './cancel.ts'
import { pause } from './pause.ts'
import { setPriority } from './priority.ts'
import { resume } from './resume.ts'
import { retry } from './retry.ts'

export function createRunControl(db: Database): RunControl {
  return {
    pause: (selector) => db.transaction((tx) => pause(tx, selector)),
    resume: (selector) => db.transaction((tx) => resume(tx, selector)),
    cancel: (selector) => db.transaction((tx) => cancel(tx, selector)),
    retry: (selector) => db.transaction((tx) => retry(tx, selector)),
    setPriority: (selector, priority) => db.transaction((tx) => setPriority(tx, selector, priority)),
  }
}
