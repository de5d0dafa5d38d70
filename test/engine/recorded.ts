/** Records every store to an array of words, in order, for tests that stop after each of them. */

/** Words of one store: a single one, or all that a fill or a copy wrote. */
export interface Store {
  readonly index: number
  readonly values: ArrayLike<number>
}

/** The words, and a log of every store to them in order. */
export function recorded(words: Int32Array): { watched: Int32Array; log: Store[] } {
  const log: Store[] = []
  const store = (index: number, values: ArrayLike<number>): void => {
    log.push({ index, values })
    words.set(values, index)
  }
  const methods: Record<string, unknown> = {
    fill: (value: number, begin = 0, end = words.length) =>
      store(begin, new Int32Array(Math.max(0, end - begin)).fill(value)),
    copyWithin: (to: number, from: number, end: number) => store(to, words.slice(from, end))
  }
  const watched = new Proxy(words, {
    get: (target, key) =>
      typeof key === 'string' && key in methods ? methods[key] : Reflect.get(target, key, target),
    set: (_, key, value) => {
      store(Number(key), [Number(value)])
      return true
    }
  })
  return { watched, log }
}
