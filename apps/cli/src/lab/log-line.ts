/** A JSON log line of a service in the short form that a terminal shows: `12:03:04 worker warn  message key=value`. */

/** In every line, or of no use on a terminal. */
const HIDDEN = new Set(['time', 'level', 'service', 'msg', 'pid', 'hostname', 'reqId', 'req', 'res', 'err'])

export function shortLogLine(service: string, line: string): string {
  const entry = parse(line)
  if (entry === undefined) return `${service} ${line}`
  const time = typeof entry.time === 'string' ? entry.time.slice(11, 19) : ''
  const facts = Object.entries(entry)
    .filter(([key, value]) => !HIDDEN.has(key) && (typeof value !== 'object' || value === null))
    .map(([key, value]) => `${key}=${value}`)
  const failure = (entry.err as { message?: unknown } | undefined)?.message
  const parts = [time, service, String(entry.level ?? '').padEnd(5), String(entry.msg ?? ''), failure, ...facts]
  return parts.filter((part) => part !== undefined && part !== '').join(' ')
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
