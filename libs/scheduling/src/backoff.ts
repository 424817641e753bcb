/** Waiting time before the n-th retry (1-based): doubles from `baseMs`, never above `capMs`. Pure; no jitter, since one scheduler serves all. */
export function backoffMs(retry: number, baseMs: number, capMs: number): number {
  if (!Number.isInteger(retry) || retry < 1) throw new RangeError(`retry ${retry} is not a count from 1`)
  return Math.min(capMs, baseMs * 2 ** Math.min(retry - 1, 52))
}
