import fp from 'fastify-plugin'
import type { AuditStore } from '#libs/runs'

const LONGEST_SUBJECT = 200

/**
 * One audit event for every request that may change something, written before its answer is sent: who, what, about what, and how
 * it ended. No field of the request's body is noted. Where the event cannot be stored, the change stands and the log has the event.
 */
export default fp<{ readonly audit: Pick<AuditStore, 'record'> }>(async (app, { audit }) => {
  app.decorateRequest('auditSubject', null)
  app.decorateRequest('auditData', null)
  app.decorateReply('problemCode', null)

  app.addHook('onSend', async (request, reply, payload) => {
    const { action } = request.routeOptions.config
    if (action === undefined || request.actor === null || request.auditSubject === false) return payload
    const subject = request.auditSubject ?? (request.params as { readonly id?: string } | null)?.id ?? ''
    const event = {
      actor: request.actor.name,
      action,
      subject: subject.slice(0, LONGEST_SUBJECT),
      data: { ...request.auditData, status: reply.statusCode, ...(reply.problemCode !== null && { problem: reply.problemCode }) },
    }
    try {
      await audit.record(event)
    } catch (error) {
      request.log.error({ err: error, audit: event }, 'an audit event could not be stored')
    }
    return payload
  })
})
