/** Shards in memory, the least recently used leave first. */

/**
 * Loads each shard once however many ask for it at the same time. Holds `budgetBytes` at most, but always the shard asked for last.
 */
export class ShardCache {
  readonly #load: (shard: number) => Promise<Uint8Array>
  readonly #sizeOf: (shard: number) => number
  readonly #budgetBytes: number
  /** In order of use. */
  readonly #held = new Map<number, Promise<Uint8Array>>()
  #heldBytes = 0

  constructor(budgetBytes: number, sizeOf: (shard: number) => number, load: (shard: number) => Promise<Uint8Array>) {
    this.#budgetBytes = budgetBytes
    this.#sizeOf = sizeOf
    this.#load = load
  }

  get(shard: number): Promise<Uint8Array> {
    const held = this.#held.get(shard)
    if (held) {
      this.#held.delete(shard)
      this.#held.set(shard, held)
      return held
    }
    const loading = this.#load(shard).catch((error: unknown) => {
      // The next caller tries again.
      if (this.#held.get(shard) === loading) this.#drop(shard)
      throw error
    })
    this.#held.set(shard, loading)
    this.#heldBytes += this.#sizeOf(shard)
    for (const other of [...this.#held.keys()]) {
      if (this.#heldBytes <= this.#budgetBytes) break
      if (other !== shard) this.#drop(other)
    }
    return loading
  }

  clear(): void {
    this.#held.clear()
    this.#heldBytes = 0
  }

  #drop(shard: number): void {
    if (this.#held.delete(shard)) this.#heldBytes -= this.#sizeOf(shard)
  }
}
