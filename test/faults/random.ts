/** Random numbers from a seed, so that any injection can be repeated. */
export class Random {
  #state: number

  constructor(...seeds: number[]) {
    this.#state = seeds.reduce(
      (state, seed) => Math.imul(state ^ seed, 0x9e3779b1) ^ (state >>> 13),
      0x2545f491
    )
  }

  /** An integer from 0 to below `limit` (mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit)
  }

  /** An integer from `low` to `high`. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** One item of a list. Throws NoPlace if it is empty. */
  of<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new NoPlace()
    return items[this.below(items.length)]
  }
}

/** Thrown if a heap has no place for a fault. */
export class NoPlace extends Error {}
