/** How often the same failure is repeated while it lasts. */
const REPEAT_AFTER_MS = 30_000

/**
 * Clients retry several times a second while their server is away, and emit an error each time. Passes on the first of a kind, then
 * one every 30 s. `now` gives milliseconds.
 */
export function reportOnce(report: (error: Error) => void, now: () => number = Date.now): (error: Error) => void {
  const reportedAt = new Map<string, number>()
  return (error) => {
    const kind = reasonOf(error)
    const before = reportedAt.get(kind)
    if (before !== undefined && now() - before < REPEAT_AFTER_MS) return
    if (reportedAt.size > 100) reportedAt.clear()
    reportedAt.set(kind, now())
    report(error)
  }
}

// An AggregateError of several addresses has an empty message of its own.
function reasonOf(error: Error): string {
  const code = (error as { code?: unknown }).code
  return `${error.name} ${typeof code === 'string' ? code : ''} ${error.message}`
}
