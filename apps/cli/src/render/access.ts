/** Workers, keys and the audit trail as text. Pure. */
import type { AuditEvent, Key, Worker } from '../client/wire.ts'
import { shortId } from './format.ts'
import { renderRows } from './table.ts'

export function renderWorkers(workers: readonly Worker[]): string {
  if (workers.length === 0) return 'no workers were seen within a day'
  const rows = workers.map((worker) => [
    worker.id,
    worker.resourceClass,
    worker.engine,
    worker.draining !== null ? `draining: ${worker.draining}` : worker.alive ? 'alive' : `gone since ${worker.lastSeenAt}`,
    `${worker.attempts.length}/${worker.slots}`,
    worker.attempts.map(({ runId, title }) => `${shortId(runId)} ${title}`).join(', '),
  ])
  return renderRows(['worker', 'class', 'engine', 'state', 'busy', 'works on'], rows)
}

export function renderKeys(keys: readonly Key[]): string {
  if (keys.length === 0) return 'no keys yet; make the first with "cxrlab keys create --direct"'
  const rows = keys.map(({ id, owner, name, role, createdAt, lastUsedAt, revokedAt }) => [
    id,
    owner,
    name,
    role,
    createdAt,
    lastUsedAt ?? 'never',
    revokedAt === null ? '' : `revoked ${revokedAt}`,
  ])
  return renderRows(['key', 'owner', 'name', 'role', 'created', 'last used', ''], rows)
}

/** Status first; what is null does not apply. */
function outcome({ status, ...rest }: AuditEvent['data']): string {
  return Object.entries({ status, ...rest })
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

export function renderAudit(events: readonly AuditEvent[]): string {
  if (events.length === 0) return 'nothing was changed yet'
  const rows = events.map(({ at, actor, action, subject, data }) => [
    at,
    actor,
    action,
    subject.length > 36 ? shortId(subject) : subject,
    outcome(data),
  ])
  return renderRows(['at', 'who', 'what', 'about', 'outcome'], rows)
}
