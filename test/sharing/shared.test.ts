/** Shared heaps used by one thread: options, handles, several heaps on the same memory, errors. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import { Heap, placements } from '../../lib/index.js'
import { expectError } from '../heap/support.js'

const MiB = 2 ** 20

describe('Heap.map with shared: true', () => {
  test('rejects invalid options and combinations, and names the option', () => {
    const both = 'ERR_OFFHEAP_UNSUPPORTED'
    expectError(
      () => Heap.map({ size: MiB, shared: true, hardened: true }),
      both,
      /hardened or shared, not both/
    )
    expectError(
      () => Heap.map({ size: MiB, shared: true, trimThreshold: MiB }),
      both,
      /trimThreshold/
    )
    for (const arenas of [0, 33, 1.5, Number.NaN]) {
      expectError(
        () => Heap.map({ size: MiB, shared: true, arenas }),
        'ERR_OUT_OF_RANGE',
        /"arenas".*from 1 to 32/
      )
    }
    expectError(
      () => Heap.map({ size: MiB, shared: true, busyTimeout: -1 }),
      'ERR_OUT_OF_RANGE',
      /"busyTimeout"/
    )
    expectError(
      () => Heap.map({ size: MiB, arenas: 2 }),
      'ERR_OUT_OF_RANGE',
      /left out unless "shared" is true/
    )
    for (const size of [0, -1, 1.5, 2 ** 40]) {
      expectError(() => Heap.map({ size, shared: true }), 'ERR_OUT_OF_RANGE', /size/)
    }
    const wrong: object[] = [
      { size: MiB, shared: 'yes' },
      { size: MiB, shared: true, arenas: '2' },
      { size: MiB, shared: true, guard: 1 },
      { shared: true }
    ]
    for (const options of wrong) {
      expectError(() => Reflect.apply(Heap.map, Heap, [options]), 'ERR_INVALID_ARG_TYPE')
    }
  })

  test.each(placements)('has arenas of equal size, with any placement: %s', placement => {
    using heap = Heap.map({ size: 3 * MiB, shared: true, arenas: 3, placement })
    expect(heap.placement).toBe(placement)
    expect(heap.stats()).toMatchObject({ size: 3 * MiB, blocks: 0, used: 0 })
    // No block is larger than an arena.
    expect(heap.malloc(MiB)).toBe(0)
    const { largestFree } = heap.stats()
    expect(largestFree).toBeGreaterThan(MiB / 2)
    const blocks = [1, 2, 3].map(() => heap.malloc(largestFree))
    expect(blocks.map(pointer => Math.floor(pointer / MiB)).sort()).toEqual([0, 1, 2])
    expect(heap.malloc(largestFree)).toBe(0)
    for (const pointer of blocks) heap.free(pointer)
    expect(heap.stats().largestFree).toBe(largestFree)
    heap.check()
  })

  test('returns views and sizes, and throws errors, like any heap', () => {
    using heap = Heap.map({ size: MiB, shared: true, arenas: 2 })
    const bytes = heap.alloc(100)
    const buffer = heap.allocBuffer(100)
    const floats = heap.allocArray(Float64Array, 10)
    expect(heap.owns(bytes) && heap.owns(buffer) && heap.owns(floats)).toBe(true)
    expect(heap.usableSize(bytes)).toBeGreaterThanOrEqual(100)
    expect(heap.view(bytes).byteOffset).toBe(bytes.byteOffset)
    expect([...heap.blocks()].filter(({ used }) => used)).toHaveLength(3)
    heap.root = bytes.byteOffset
    expect(heap.root).toBe(bytes.byteOffset)
    heap.root = 0
    for (const view of [bytes, buffer, floats]) heap.free(view)
    expectError(() => heap.free(bytes), 'ERR_OFFHEAP_DOUBLE_FREE')
    expectError(
      () => heap.free(MiB),
      'ERR_OFFHEAP_INVALID_POINTER',
      /outside the heap, which has 1048576 bytes/
    )
    expectError(
      () => heap.free(MiB / 2 + 4),
      'ERR_OFFHEAP_INVALID_POINTER',
      /524292 is not a multiple of 8/
    )
    expectError(() => heap.free(MiB / 2 + 8), 'ERR_OFFHEAP_INVALID_POINTER', /own header/)
    expect(heap.alignedAlloc(4096, 10) % 4096).toBe(0)
    expect(heap.calloc(2 ** 40, 2 ** 40)).toBe(0)
    expectError(() => heap.alloc(2 * MiB), 'ERR_OFFHEAP_OUT_OF_MEMORY')
    expect(heap.trim()).toBeGreaterThanOrEqual(0)
    heap.reset()
    expect(heap.stats().blocks).toBe(0)
  })
})

test('a subscriber that fills the arena does not change the result of the current call', () => {
  using heap = Heap.map({ size: 8 * MiB, shared: true, arenas: 2 })
  const others: number[] = []
  const fill = (): void => {
    unsubscribe('offheap:grow', fill)
    // Until this thread has moved to the other arena.
    while (others.every(pointer => pointer < 4 * MiB)) others.push(heap.malloc(MiB))
  }
  subscribe('offheap:grow', fill)
  const pointer = heap.malloc(MiB + 100)
  expect(others.length).toBeGreaterThan(1)
  expect(pointer).toBeLessThan(4 * MiB)
  expect(heap.usableSize(pointer)).toBeGreaterThanOrEqual(MiB + 100)
})

describe('the fast path of slots', () => {
  const options = { shared: true, arenas: 1, placement: 'segregated-fit' } as const

  test('is not used for blocks that are pinned', () => {
    using heap = Heap.map({ ...options, size: 2 * MiB })
    const pointer = heap.malloc(24)
    {
      using _pin = heap.pin(pointer)
      expectError(() => heap.free(pointer), 'ERR_OFFHEAP_PINNED')
      expectError(() => heap.realloc(pointer, 24), 'ERR_OFFHEAP_PINNED')
      expect(heap.owns(pointer)).toBe(true)
    }
    heap.free(pointer)
    expect(heap.owns(pointer)).toBe(false)
  })

  test('returns the slots of the arena of each heap, and takes back no others', () => {
    using heap = Heap.map({ ...options, arenas: 2, size: 2 * MiB })
    using other = Heap.attach(heap.handle())
    const [mine, its] = [heap, other].map(each => [1, 2, 3].map(() => each.malloc(24)))
    expect(mine.every(pointer => pointer < MiB)).toBe(true)
    expect(its.every(pointer => pointer > MiB)).toBe(true)
    expect(mine.map(pointer => heap.realloc(pointer, 26))).toEqual(mine)
    for (const pointer of its) heap.free(pointer)
    for (const pointer of mine) other.free(pointer)
    expect(heap.stats().blocks).toBe(0)
    expectError(() => heap.free(mine[0]), 'ERR_OFFHEAP_DOUBLE_FREE')
  })
})

describe('heap.handle()', () => {
  test('returns a handle that can be cloned, and opens the heap again while it is open', () => {
    const heap = Heap.map({ size: MiB, shared: true, arenas: 2 })
    const handle = structuredClone(heap.handle())
    const other = Heap.attach(JSON.parse(JSON.stringify(handle)))
    const pointer = heap.malloc(100)
    heap.u8[pointer] = 7
    expect(other.u8[pointer]).toBe(7)
    other.free(pointer)
    expect(heap.stats().blocks).toBe(0)
    // A view belongs to the heap object that returned it.
    expectError(() => other.free(heap.alloc(8)), 'ERR_OFFHEAP_FOREIGN_VIEW')
    heap.close()
    expect(other.closed).toBe(false)
    other.check()
    other.free(other.malloc(1000))
    other.close()
    expectError(() => Heap.attach(handle), 'ERR_OFFHEAP_CLOSED', /Keep it open/)
    expectError(() => heap.handle(), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.malloc(8), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.stats(), 'ERR_OFFHEAP_CLOSED')
    heap.close()
  })

  test('requires a shared heap, and Heap.attach rejects anything else', () => {
    using heap = Heap.map(MiB)
    expectError(() => heap.handle(), 'ERR_OFFHEAP_UNSUPPORTED', /shared: true/)
    for (const id of ['', 'x'.repeat(32), 5, undefined, { toString: () => '0'.repeat(32) }]) {
      expectError(
        () => Reflect.apply(Heap.attach, Heap, [{ offheap: 'shared', id }]),
        'ERR_INVALID_ARG_VALUE',
        /handle.id/
      )
    }
    expectError(() => Heap.attach({ offheap: 'shared', id: '0'.repeat(32) }), 'ERR_OFFHEAP_CLOSED')
    expectError(
      () => Reflect.apply(Heap.attach, Heap, [{ offheap: 'other', id: 1 }]),
      'ERR_INVALID_ARG_TYPE'
    )
  })

  test('can be attached by up to 256 threads', () => {
    using heap = Heap.map({ size: MiB, shared: true, arenas: 1 })
    const others = Array.from({ length: 255 }, () => Heap.attach(heap.handle()))
    expectError(() => Heap.attach(heap.handle()), 'ERR_OFFHEAP_BUSY', /256 threads/)
    for (const other of others) other.close()
    Heap.attach(heap.handle()).close()
  })
})

describe.each([[false], [true]])('a mutex in a heap with shared: %s', shared => {
  test('is held while its work runs, and free once that returned or threw', () => {
    using heap = Heap.map({ size: MiB, shared })
    const block = heap.calloc(1, 8)
    const mutex = heap.mutex(block)
    const result = mutex.run(abandoned => {
      expectError(() => mutex.run(() => 0), 'ERR_INVALID_STATE', /has the lock already/)
      expectError(() => heap.mutex(block).run(() => 0), 'ERR_INVALID_STATE')
      expect(mutex.tryRun(() => {})).toBe(false)
      return abandoned
    })
    expect(result).toBe(false)
    const fail = (): never => {
      throw new Error('the work failed')
    }
    expect(() => mutex.run(fail)).toThrow('the work failed')
    expect(() => mutex.tryRun(fail)).toThrow('the work failed')
    let calls = 0
    expect(mutex.tryRun(() => void calls++)).toBe(true)
    expect(calls).toBe(1)
  })

  test('rejects work that is no function, and a heap that was closed', () => {
    const heap = Heap.map({ size: MiB, shared })
    const mutex = heap.mutex(heap.calloc(1, 8))
    for (const call of [mutex.run, mutex.tryRun])
      expectError(() => Reflect.apply(call, mutex, [1]), 'ERR_INVALID_ARG_TYPE', /"work"/)
    heap.close()
    expectError(() => mutex.run(() => 0), 'ERR_OFFHEAP_CLOSED')
    expectError(() => mutex.tryRun(() => {}), 'ERR_OFFHEAP_CLOSED')
  })
})
