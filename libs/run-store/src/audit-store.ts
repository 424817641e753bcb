/** Who changed what: appended, never changed (a trigger refuses). */
import type { AuditEvent, AuditStore } from '#libs/runs'
import type { Sql } from './database.ts'
import { keyOf, toPage } from './paging.ts'

const RECORD = `
  INSERT INTO audit_event (actor, action, subject, data) VALUES ($1::text, $2::text, $3::text, $4::jsonb) RETURNING id`

const PAGE = `
  SELECT id, at, actor, action, subject, data FROM audit_event
  WHERE ($1::text IS NULL OR actor = $1::text) AND ($2::text IS NULL OR action = $2::text)
    AND ($3::text IS NULL OR subject = $3::text) AND ($4::bigint IS NULL OR id < $4::bigint)
  ORDER BY id DESC LIMIT $5::int`

export function createAuditStore(db: Sql): AuditStore {
  return {
    async record({ actor, action, subject, data }) {
      await db.rows(RECORD, actor, action, subject, JSON.stringify(data))
    },
    async page({ actor, action, subject }, page) {
      const rows = await db.rows<AuditEvent>(PAGE, actor ?? null, action ?? null, subject ?? null, keyOf(page), page.limit + 1)
      return toPage(
        rows,
        page,
        ({ id }) => id,
        (row) => row,
      )
    },
  }
}
