/**
 * Numbers for a queue that gives out the lowest first. Each priority has a band of its own, and within it what has a number keeps
 * it where it can: a queue that is told a new number a thousand times a second does little else. Pure.
 */

/** Numbers of one band. 201 bands fit into BullMQ's range of 1..2,097,151. */
const BAND = 10_000
/** Distance between neighbours, so that others find room between them. */
const GAP = 16

export interface Numbered {
  readonly attemptId: string
  /** -100..100. */
  readonly priority: number
  /** The number that the queue was told; null: it has not got it. */
  readonly number: number | null
}

const bandOf = (priority: number): number => (100 - priority) * BAND

/** Numbers that rise along the line, by attempt id. The line's priorities fall. */
export function queueNumbers(line: readonly Numbered[]): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>()
  const bands = new Map<number, Numbered[]>()
  for (const attempt of line) {
    const band = bands.get(attempt.priority)
    if (band) band.push(attempt)
    else bands.set(attempt.priority, [attempt])
  }
  for (const [priority, band] of bands) {
    const base = bandOf(priority)
    const given = keeping(band, base) ?? anew(band, base)
    for (const [i, { attemptId }] of band.entries()) numbers.set(attemptId, given[i]!)
  }
  return numbers
}

/** Keeps numbers that rise already; undefined where the others find no room between them. */
function keeping(band: readonly Numbered[], base: number): number[] | undefined {
  const isKept = keptIn(band, base)
  const given: number[] = []
  let last = base
  for (let i = 0; i < band.length; ) {
    if (isKept[i]) {
      last = band[i]!.number!
      given.push(last)
      i += 1
      continue
    }
    let end = i
    while (end < band.length && !isKept[end]) end += 1
    const above = end < band.length ? band[end]!.number! : last + GAP * (end - i + 1)
    const step = (above - last) / (end - i + 1)
    if (step < 1 || above > base + BAND) return undefined
    for (let k = 1; k <= end - i; k++) given.push(last + Math.floor(step * k))
    last = given.at(-1)!
    i = end
  }
  return last < base + BAND ? given : undefined
}

/** The longest rising run of numbers, as flags (patience sorting). */
function keptIn(band: readonly Numbered[], base: number): boolean[] {
  const tails: number[] = []
  const before = band.map(() => -1)
  for (const [i, { number }] of band.entries()) {
    if (number === null || number <= base || number >= base + BAND) continue
    let at = tails.findIndex((tail) => band[tail]!.number! >= number)
    if (at < 0) at = tails.length
    before[i] = at > 0 ? tails[at - 1]! : -1
    tails[at] = i
  }
  const isKept = band.map(() => false)
  for (let i = tails.at(-1) ?? -1; i >= 0; i = before[i]!) isKept[i] = true
  return isKept
}

/** From the start of the band; closer together where it would run out. */
function anew(band: readonly Numbered[], base: number): number[] {
  const gap = Math.max(1, Math.min(GAP, Math.floor((BAND - 1) / band.length)))
  return band.map((_, i) => base + Math.min(BAND - 1, gap * (i + 1)))
}
