/** Small texts of the command line. */

/** Enough of an id to name it again; the api takes any unique prefix. */
export function shortId(id: string): string {
  return id.slice(0, 12)
}

/** `2h 05m`, `3m 20s`, `8s`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m ${String(seconds % 60).padStart(2, '0')}s`
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`
}

/** How long a run has worked, or worked; empty before it started. */
export function elapsed(startedAt: string | null, endedAt: string | null, now: number): string {
  if (startedAt === null) return ''
  return duration((endedAt === null ? now : Date.parse(endedAt)) - Date.parse(startedAt))
}

export function percent(done: number, total: number): string {
  return total > 0 ? `${Math.floor((100 * Math.min(done, total)) / total)}%` : ''
}

export function bytes(size: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(size) / 10))
  const value = size / 2 ** (10 * power)
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`
}

/** Three significant figures, plain: 1234, 56.8, 0.92. */
export function rate(perSecond: number): string {
  if (perSecond >= 100) return perSecond.toFixed(0)
  return perSecond >= 10 ? perSecond.toFixed(1) : perSecond.toFixed(2)
}
