/**
 * Calls that run code of the caller: properties of views, classes passed to allocArray,
 * Error.prepareStackTrace, loops over blocks. Such code may use the heap, close it or throw. The
 * heap must then be valid, no block may leak, and every error must have a code or be the caller's.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, test } from 'vitest'
import { Heap, type HeapOptions, placements } from '../../lib/index.js'
import { Random } from '../faults/random.js'
import { errorOf, expectError } from './support.js'

const kinds: [name: string, options: HeapOptions][] = [
  ['an ordinary heap', {}],
  ['a heap with slabs', { slabs: true }],
  ['a hardened heap', { hardened: true }],
  ['a hardened heap with stacks', { hardened: true, trackAllocations: true, onLeaks: () => {} }]
]

/** A view of a block whose property `name` runs code of the caller. */
function viewWith(
  heap: Heap,
  pointer: number,
  name: 'buffer' | 'byteOffset',
  get: () => unknown,
  length = 10
): Uint8Array {
  const view = new Uint8Array(heap.buffer, pointer, length)
  return Object.defineProperty(view, name, { get })
}

describe.each(kinds)('%s', (_, options) => {
  const make = (): Heap => Heap.map({ size: 2 ** 20, ...options })

  describe('given a view with overridden properties', () => {
    const calls: [name: string, run: (heap: Heap, view: Uint8Array) => unknown][] = [
      ['free', (heap, view) => heap.free(view)],
      ['realloc', (heap, view) => heap.realloc(view, 5000)],
      ['realloc to 0', (heap, view) => heap.realloc(view, 0)],
      ['view', (heap, view) => heap.view(view)],
      ['usableSize', (heap, view) => heap.usableSize(view)],
      ['owns', (heap, view) => heap.owns(view)],
      ['root =', (heap, view) => Reflect.set(heap, 'root', view)]
    ]

    test.each(calls)('%s survives a view that frees the block', (_, run) => {
      using heap = make()
      const pointer = heap.malloc(10)
      const behind = heap.malloc(10)
      const view = viewWith(heap, pointer, 'byteOffset', () => {
        if (heap.owns(pointer)) heap.free(pointer)
        return pointer
      })
      if (_ === 'owns') expect(run(heap, view)).toBe(false)
      else expectError(() => run(heap, view), 'ERR_OFFHEAP_DOUBLE_FREE')
      heap.check()
      expect(heap.stats().blocks).toBe(1)
      expect(heap.owns(behind)).toBe(true)
    })

    test.each(calls)('%s survives a view that closes the heap', (_, run) => {
      const heap = make()
      const pointer = heap.malloc(10)
      const view = viewWith(heap, pointer, 'byteOffset', () => {
        heap.close()
        return pointer
      })
      expectError(() => run(heap, view), 'ERR_OFFHEAP_CLOSED')
    })

    test.each(calls)(
      "%s reads the buffer once; free only if the bytes of the view don't identify it",
      (name, run) => {
        for (const length of [10, 0]) {
          const heap = make()
          const { buffer } = heap
          const pointer = heap.malloc(10)
          let asked = 0
          const view = viewWith(
            heap,
            pointer,
            'buffer',
            () => {
              asked++
              heap.close()
              return buffer
            },
            length
          )
          const isAsked = length === 0 || name !== 'free'
          if (isAsked) expectError(() => run(heap, view), 'ERR_OFFHEAP_CLOSED')
          else run(heap, view)
          expect(asked).toBe(isAsked ? 1 : 0)
          heap.close()
        }
      }
    )

    test.each(calls)('%s refuses an offset that is not a pointer', (name, run) => {
      using heap = make()
      const pointer = heap.malloc(10)
      const offsets = [
        '8',
        { valueOf: () => pointer },
        Number.NaN,
        -8,
        0.5,
        2 ** 60,
        null,
        8n,
        Symbol('8'),
        pointer + 1
      ]
      for (const offset of offsets) {
        const view = viewWith(heap, pointer, 'byteOffset', () => offset)
        if (name === 'owns') expect(run(heap, view)).toBe(false)
        else expect(errorOf(() => run(heap, view))).toHaveProperty('code')
        heap.check()
      }
      expect(heap.owns(pointer)).toBe(true)
    })
  })

  describe('allocArray', () => {
    test('frees the block if the class throws', () => {
      using heap = make()
      class Refusing extends Float64Array {
        constructor(buffer: ArrayBuffer, offset: number, length: number) {
          super(buffer, offset, length)
          throw new Error('refused')
        }
      }
      expect(() => heap.allocArray(Refusing, 10)).toThrow('refused')
      expect(heap.stats().blocks).toBe(0)
      heap.check()
    })

    test('allows the class to free the block, to allocate and to close the heap', () => {
      const heap = make()
      const uses: ((offset: number) => void)[] = [
        offset => heap.free(offset),
        offset => heap.realloc(offset, 2 ** 18),
        () => heap.malloc(2 ** 19),
        () => heap.trim(),
        () => heap.reset(),
        () => heap.close()
      ]
      for (const use of uses) {
        const seen: number[] = []
        class Using extends Float64Array {
          constructor(buffer: ArrayBuffer, offset: number, length: number) {
            super(buffer, offset, length)
            seen.push(offset)
            use(offset)
            throw new Error('refused')
          }
        }
        expect(() => heap.allocArray(Using, 10)).toThrow('refused')
        expect(seen).toHaveLength(1)
        if (!heap.closed) heap.check()
      }
      expect(heap.closed).toBe(true)
    })

    test('reads BYTES_PER_ELEMENT once', () => {
      using heap = make()
      const sizes = [8, 2 ** 40, Number.NaN]
      const Changing = new Proxy(Float64Array, {
        get: (type, name) =>
          name === 'BYTES_PER_ELEMENT' ? sizes.shift() : Reflect.get(type, name)
      })
      const array = heap.allocArray(Changing, 10)
      expect(array).toHaveLength(10)
      expect(heap.usableSize(array)).toBeLessThan(100)
      heap.check()
    })
  })
})

describe.each(
  placements.flatMap(placement =>
    [{ slabs: false }, { slabs: true }, { hardened: true, quarantine: 0 }].map(more => ({
      placement,
      ...more
    }))
  )
)('a loop over the blocks of %j', options => {
  const loops = ['blocks', 'freeBlocks'] as const

  /** A heap of alternating used, free and quarantined blocks, and the pointers of the used ones. */
  function make(): { heap: Heap; pointers: number[] } {
    const heap = Heap.map({ size: 2 ** 18, ...options })
    const pointers = Array.from({ length: 60 }, (_, i) => heap.malloc(16 + (i % 7) * 400))
    for (let i = 0; i < pointers.length; i += 2) heap.free(pointers[i] ?? 0)
    return { heap, pointers: pointers.filter((_, i) => i % 2 === 1) }
  }

  test.each(loops)('%s: throws ERR_OFFHEAP_CLOSED if the loop closes the heap', name => {
    const { heap } = make()
    const close = (): void => {
      for (const _ of heap[name]()) heap.close()
    }
    expectError(close, 'ERR_OFFHEAP_CLOSED')
  })

  test.each(loops)('%s: ends quietly if the loop closes the heap and breaks', name => {
    const { heap } = make()
    for (const _ of heap[name]()) {
      heap.close()
      break
    }
    expect(heap.closed).toBe(true)
  })

  test.each(loops)('%s: ends, and reports no corruption, if the loop changes the heap', name => {
    for (let seed = 1; seed <= 8; seed++) {
      const { heap, pointers } = make()
      const random = new Random(seed)
      const faults: unknown[] = []
      const listener = (message: unknown): void => void faults.push(message)
      subscribe('offheap:fault', listener)
      try {
        let left = 200
        for (const _ of heap[name]()) {
          if (--left === 0) break
          for (let i = random.below(4); i > 0; i--) {
            const pointer = pointers.splice(random.below(pointers.length), 1)[0]
            if (pointer !== undefined) heap.free(pointer)
          }
          for (let i = random.below(4); i > 0; i--) {
            const pointer = heap.malloc(random.below(3000))
            if (pointer === 0) continue
            heap.u8.fill(0xff, pointer, pointer + heap.usableSize(pointer))
            pointers.push(pointer)
          }
        }
      } catch (error) {
        expect(error).toMatchObject({
          code: 'ERR_INVALID_STATE',
          message: expect.stringContaining('[...heap.blocks()]')
        })
      } finally {
        unsubscribe('offheap:fault', listener)
      }
      expect(faults).toEqual([])
      heap.check()
      heap.close()
    }
  })

  test('blocks(): still reports corruption', () => {
    const { heap, pointers } = make()
    // Blocks of 2,016 bytes: too large for a slot.
    const pointer = pointers[2] ?? 0
    const loop = (): void => {
      for (const block of heap.blocks()) {
        if (block.pointer !== pointer) continue
        if (options.hardened) heap.u8[pointer + heap.usableSize(pointer)] ^= 1
        else heap.u32.fill(0xffff_ffff, pointer / 4 - 1, pointer / 4 + 200)
      }
      heap.check()
    }
    expectError(loop, 'ERR_OFFHEAP_CORRUPT')
  })
})

describe('a heap that tracks allocations', () => {
  const { prepareStackTrace, stackTraceLimit } = Error
  afterEach(() => {
    if (prepareStackTrace === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace')
    else Error.prepareStackTrace = prepareStackTrace
    Error.stackTraceLimit = stackTraceLimit
  })

  const make = (): Heap =>
    Heap.map({ size: 2 ** 20, hardened: true, trackAllocations: true, onLeaks: () => {} })

  /** Every call that captures a stack, each with its normal result. */
  function useAll(heap: Heap): void {
    const a = heap.malloc(10)
    const b = heap.calloc(10, 10)
    const c = heap.alignedAlloc(64, 100)
    const d = heap.realloc(a, 5000)
    for (const pointer of [a, b, c, d]) expect(pointer).not.toBe(0)
    expect(heap.stats().blocks).toBe(3)
    heap.free(b)
    heap.free(c)
    expect(heap.realloc(d, 0)).toBe(0)
    expect(heap.stats().blocks).toBe(0)
    expect(heap.leaks()).toEqual([])
    heap.check()
  }

  test('survives an Error.prepareStackTrace that throws', () => {
    using heap = make()
    Error.prepareStackTrace = () => {
      throw new Error('no trace')
    }
    useAll(heap)
  })

  test('survives an Error.prepareStackTrace that returns no string', () => {
    using heap = make()
    for (const trace of [undefined, null, [], Object.create(null), Symbol('trace'), 1n]) {
      Error.prepareStackTrace = () => trace
      useAll(heap)
    }
  })

  test('survives an Error.prepareStackTrace that uses the heap', () => {
    using heap = make()
    let inside = false
    Error.prepareStackTrace = () => {
      if (inside) return ''
      inside = true
      heap.free(heap.malloc(20))
      heap.trim()
      heap.check()
      inside = false
      return 'Error\n    at here'
    }
    useAll(heap)
  })

  test('survives an Error.prepareStackTrace that closes the heap', () => {
    for (const call of [
      (heap: Heap) => heap.malloc(10),
      (heap: Heap) => heap.calloc(1, 10),
      (heap: Heap) => heap.alignedAlloc(64, 10),
      (heap: Heap, pointer: number) => heap.realloc(pointer, 20),
      (heap: Heap, pointer: number) => heap.free(pointer)
    ]) {
      const heap = make()
      const pointer = heap.malloc(10)
      Error.prepareStackTrace = () => {
        heap.close()
        return 'Error'
      }
      expectError(() => call(heap, pointer), 'ERR_OFFHEAP_CLOSED')
      Reflect.deleteProperty(Error, 'prepareStackTrace')
    }
  })

  test('survives an Error.stackTraceLimit that cannot be set', () => {
    using heap = make()
    const property = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit') ?? {}
    try {
      Object.defineProperty(Error, 'stackTraceLimit', {
        value: 10,
        writable: false,
        configurable: true
      })
      useAll(heap)
    } finally {
      Object.defineProperty(Error, 'stackTraceLimit', property)
    }
    useAll(heap)
    expect(Error.stackTraceLimit).toBe(property.value)
  })
})
