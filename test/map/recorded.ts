/**
 * A heap whose memory can be restored to the state after any store of a map. A call of the heap,
 * such as malloc, counts as one store: test/engine/stores.test.ts tests interruptions within one.
 */
import type { Heap } from '../../lib/index.js'
import { Table } from '../../lib/map/table.js'

/** Words of one store. */
export interface Store {
  readonly index: number
  readonly values: Int32Array
}

const HEAP_CALLS = ['malloc', 'calloc', 'alignedAlloc', 'free']

/** A table whose every store is logged, in order. */
export function recorded(heap: Heap, pointer: number): { table: Table; log: Store[] } {
  const log: Store[] = []
  const words = heap.i32
  /** Runs a function, and logs all words that it changed as one store. */
  function whole<Result>(action: () => Result): Result {
    const before = words.slice()
    const result = action()
    let first = 0
    while (first < words.length && words[first] === before[first]) first++
    let last = words.length - 1
    while (last > first && words[last] === before[last]) last--
    if (first < words.length) log.push({ index: first, values: words.slice(first, last + 1) })
    return result
  }
  /** An object of which these methods are logged. */
  const logged = <T extends object>(object: T, methods: readonly string[]): T =>
    new Proxy(object, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return typeof name === 'string' && methods.includes(name)
          ? (...args: unknown[]) => whole(() => Reflect.apply(value, target, args))
          : value.bind(target)
      },
      set(target, name, value) {
        return whole(() => Reflect.set(target, name, value, target))
      }
    })
  const table = new Table(logged(heap, HEAP_CALLS), pointer)
  const { memory } = table
  memory.m = new Proxy(words, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => whole(() => Reflect.apply(value, target, args))
    },
    set(target, name, value) {
      const index = Number(name)
      target[index] = value
      log.push({ index, values: target.slice(index, index + 1) })
      return true
    }
  })
  memory.f64 = logged(heap.f64, [])
  memory.u8 = logged(heap.u8, ['set'])
  memory.text = logged(memory.text, ['write'])
  return { table, log }
}

/** Makes the first stores of a log again. */
export function redo(words: Int32Array, log: readonly Store[], stores: number): void {
  for (let i = 0; i < stores; i++) words.set(log[i].values, log[i].index)
}
