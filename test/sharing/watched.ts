/**
 * Memory that logs every store to it, plain or atomic, in order. `replay` repeats a store on a
 * copy. So a test can produce the state that a thread leaves when it ends after any single store.
 */
import type { Memory } from './support.js'

interface Store {
  readonly part: 'head' | 'words'
  readonly index: number
  readonly values: ArrayLike<number>
}

export interface Watched extends Memory {
  readonly log: Store[]
}

/** The arrays behind the watched ones. */
const behind = new WeakMap<object, { target: Int32Array; note: (index: number) => void }>()

/** Watches memory. Only engines may use its arrays, and Atomics must be watched too. */
export function watch(memory: Memory): Watched {
  const log: Store[] = []
  return {
    head: watchArray(memory.head, 'head', 0, log),
    words: watchArray(memory.words, 'words', 0, log),
    geometry: memory.geometry,
    log
  }
}

function watchArray(
  target: Int32Array,
  part: Store['part'],
  offset: number,
  log: Store[]
): Int32Array {
  const note = (index: number, count = 1): void => {
    log.push({ part, index: offset + index, values: target.slice(index, index + count) })
  }
  const methods: Record<string, unknown> = {
    fill: (value: number, begin = 0, end = target.length) => {
      target.fill(value, begin, end)
      note(begin, Math.max(0, end - begin))
    },
    copyWithin: (to: number, from: number, end: number) => {
      target.copyWithin(to, from, end)
      note(Math.trunc(to), Math.max(0, Math.trunc(end) - Math.trunc(from)))
    },
    subarray: (begin: number, end: number) =>
      watchArray(target.subarray(begin, end), part, offset + begin, log)
  }
  const watched = new Proxy(target, {
    get: (_, key) => {
      if (typeof key === 'string' && key in methods) return methods[key]
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set: (_, key, value) => {
      target[Number(key)] = Number(value)
      note(Number(key))
      return true
    }
  })
  behind.set(watched, { target, note })
  return watched
}

const { load, store, add, or, and, compareExchange } = Atomics

/** Makes Atomics log stores to watched arrays, until `unwatchAtomics()`. */
export function watchAtomics(): void {
  const target = (array: Int32Array): Int32Array => behind.get(array)?.target ?? array
  const noting =
    (operation: (array: Int32Array, index: number, value: number) => number) =>
    (array: Int32Array, index: number, value: number): number => {
      const result = operation(target(array), index, value)
      behind.get(array)?.note(index)
      return result
    }
  Object.assign(Atomics, {
    load: (array: Int32Array, index: number) => load(target(array), index),
    store: noting(store),
    add: noting(add),
    or: noting(or),
    and: noting(and),
    compareExchange: (array: Int32Array, index: number, expected: number, value: number) => {
      const result = compareExchange(target(array), index, expected, value)
      if (result === expected) behind.get(array)?.note(index)
      return result
    }
  })
}

export function unwatchAtomics(): void {
  Object.assign(Atomics, { load, store, add, or, and, compareExchange })
}

/** Repeats one store on a copy of the memory. */
export function replay(memory: Memory, { part, index, values }: Store): void {
  memory[part].set(values, index)
}
