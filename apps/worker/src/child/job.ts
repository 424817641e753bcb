/** What the work of one attempt has around it. */
import type { ObjectStore } from '#libs/artifacts'
import type { Logger } from '#libs/telemetry'
import type { AssignmentMessage, LoopControl } from '#libs/training'
import type { ChildConfig } from './child-config.ts'
import type { SupervisorLink } from './messages.ts'

export interface Job {
  readonly assignment: AssignmentMessage
  readonly config: ChildConfig
  readonly store: ObjectStore
  readonly link: SupervisorLink
  readonly control: LoopControl
  readonly log: Logger
}
