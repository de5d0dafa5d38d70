/**
 * Pins and owned blocks: blocks that must not be freed yet, and blocks that are freed when they are
 * unreachable.
 */
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { createDeflate, deflate, inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Heap, type HeapOptions, type Pin } from '../../lib/index.js'
import { collectUntil } from '../memory/maps.js'
import { scaled } from '../runs.js'
import { expectError, expectRefusal, newHeap } from './support.js'

const kinds: [string, HeapOptions][] = [
  ['an ordinary heap', {}],
  ['a heap with slabs', { placement: 'segregated-fit' }],
  ['a best-fit heap with slabs', { placement: 'best-fit', slabs: true }],
  ['a hardened heap', { hardened: true }]
]

describe.each(kinds)('in %s', (_, options) => {
  const make = (): Heap => Heap.format(new ArrayBuffer(2 ** 18), options)

  test("a pinned block can't be freed or resized, and its heap can't be reset or closed", () => {
    const heap = make()
    for (const size of [1, 100, 1000]) {
      const block = heap.alloc(size)
      const pointer = block.byteOffset
      const pin = heap.pin(block)
      expect(pin.pointer).toBe(pointer)
      for (const action of [
        () => heap.free(pointer),
        () => heap.free(block),
        () => heap.realloc(pointer, size),
        () => heap.realloc(pointer, size + 300),
        () => heap.realloc(pointer, 0),
        () => heap.resize(block, size + 300),
        () => heap.reset(),
        () => heap.close()
      ]) {
        expectRefusal(heap, action, 'ERR_OFFHEAP_PINNED', new RegExp(`byte ${pointer} is pinned`))
      }
      const twice = heap.pin(pointer)
      pin.unpin()
      pin.unpin()
      expectError(() => heap.free(block), 'ERR_OFFHEAP_PINNED')
      twice[Symbol.dispose]()
      heap.free(block)
      expectError(() => heap.pin(block), 'ERR_OFFHEAP_DOUBLE_FREE')
    }
    expectError(() => heap.pin(4), 'ERR_OFFHEAP_INVALID_POINTER')
    heap.close()
    expectError(() => heap.pin(8), 'ERR_OFFHEAP_CLOSED')
  })

  test('pins affect no other block, whatever is allocated and freed', () => {
    const step = fc.record({
      what: fc.constantFrom('malloc', 'free', 'realloc', 'pin', 'unpin'),
      size: fc.nat(500),
      which: fc.nat(1000)
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), steps => {
        const heap = make()
        const blocks: number[] = []
        const pins: Pin[] = []
        for (const { what, size, which } of steps) {
          const at = which % Math.max(blocks.length, 1)
          const block = blocks[at]
          const isPinned = pins.some(({ pointer }) => pointer === block)
          if (what === 'malloc') blocks.push(heap.malloc(size))
          else if (what === 'unpin') pins.splice(which % Math.max(pins.length, 1), 1)[0]?.unpin()
          else if (block === undefined) continue
          else if (what === 'pin') pins.push(heap.pin(block))
          else if (isPinned) {
            expectRefusal(
              heap,
              () => (what === 'free' ? heap.free(block) : heap.realloc(block, size)),
              'ERR_OFFHEAP_PINNED'
            )
          } else if (what === 'free') {
            heap.free(block)
            blocks.splice(at, 1)
          } else if (size > 0) {
            blocks[at] = heap.realloc(block, size)
          }
          expect(
            [...heap.blocks()].filter(({ used }) => used).map(({ pointer }) => pointer)
          ).toEqual(blocks.toSorted((a, b) => a - b))
        }
        heap.check()
        for (const pin of pins) pin.unpin()
        for (const block of blocks) heap.free(block)
        expect(heap.stats().blocks).toBe(0)
        heap.close()
      }),
      { numRuns: scaled(60) }
    )
  })

  test('await using waits for all pins before it closes', async () => {
    const heap = make()
    const closing = (async () => {
      await using mine = heap
      const pins = [mine.pin(mine.malloc(10)), mine.pin(mine.malloc(10))]
      setImmediate(() => {
        pins[0]?.unpin()
        expect(heap.closed).toBe(false)
        setImmediate(() => pins[1]?.unpin())
      })
    })()
    expect(heap.closed).toBe(false)
    await closing
    expect(heap.closed).toBe(true)
    await heap[Symbol.asyncDispose]()
  })

  test('an owned block is freed after its view was collected, and not before', async () => {
    const heap = make()
    let view: Uint8Array | undefined = heap.owned(300)
    const other = heap.owned(100).fill(7)
    expect(view).toHaveLength(300)
    expect(heap.owns(view)).toBe(true)
    expect(await collectUntil(() => heap.stats().blocks < 2, 10)).toBe(false)
    view = undefined
    expect(await collectUntil(() => heap.stats().blocks === 1)).toBe(true)
    expect(other.every(byte => byte === 7)).toBe(true)
    heap.check()
  })

  test('freeing, resizing or resetting an owned block frees no other block', async () => {
    const heap = make()
    const sizes = [10, 100, 1000]
    for (const size of sizes) {
      heap.free(heap.owned(size))
      heap.free(heap.owned(size).byteOffset)
      heap.realloc(heap.owned(size), 0)
      heap.free(heap.realloc(heap.owned(size), 3000))
    }
    let resized: Uint8Array[] = sizes.map(size => heap.resize(heap.owned(size), 2 * size))
    const kept = sizes.flatMap(size => [
      heap.alloc(size).fill(size),
      heap.alloc(2 * size).fill(size)
    ])
    expect(await collectUntil(() => heap.stats().blocks !== 9, 10)).toBe(false)
    resized.map(view => view.fill(1).length)
    resized = []
    expect(await collectUntil(() => heap.stats().blocks === 6)).toBe(true)
    for (const view of kept) expect(new Set(view)).toEqual(new Set([view[0]]))
    heap.owned(50)
    heap.reset()
    const after = sizes.map(size => heap.alloc(size).fill(3))
    expect(await collectUntil(() => heap.stats().blocks !== 3, 10)).toBe(false)
    expect(after).toHaveLength(3)
    heap.owned(50)
    heap.close()
    expect(await collectUntil(() => !heap.closed, 5)).toBe(false)
  })

  test('an owned and pinned block is freed once it is neither', async () => {
    const heap = make()
    const pin = heap.pin(heap.owned(100).byteOffset)
    expect(await collectUntil(() => heap.stats().blocks === 0, 10)).toBe(false)
    pin.unpin()
    expect(await collectUntil(() => heap.stats().blocks === 0)).toBe(true)
    const held = heap.pin(heap.owned(100))
    expect(await collectUntil(() => heap.stats().blocks === 0, 10)).toBe(false)
    held.unpin()
    expect(await collectUntil(() => heap.stats().blocks === 0)).toBe(true)
  })

  test('free takes its fast path again after the last unpin', () => {
    const heap = make()
    const pin = heap.pin(heap.malloc(10))
    const blocks = Array.from({ length: 100 }, () => heap.malloc(40))
    for (const block of blocks) heap.free(block)
    pin.unpin()
    for (const block of Array.from({ length: 100 }, () => heap.malloc(40))) heap.free(block)
    heap.check()
    expect(heap.stats().blocks).toBe(1)
  })
})

test('a pin around asynchronous work keeps the heap open until the result is there', async () => {
  const heap = Heap.map(2 ** 20)
  const input = heap.alloc(100_000).fill(65)
  const work = (async () => {
    using _ = heap.pin(input)
    return await promisify(deflate)(input)
  })()
  expectError(() => heap.close(), 'ERR_OFFHEAP_PINNED', /unpin/)
  expectError(() => heap.free(input), 'ERR_OFFHEAP_PINNED')
  expect(inflateSync(await work)).toHaveLength(100_000)
  heap.free(input)
  heap.close()
})

test('without a pin, close makes zlib fail, and leaves zlib as it was', async () => {
  const heap = Heap.map(2 ** 20)
  const input = randomFillSync(heap.alloc(500_000))
  const stream = createDeflate()
  stream.end(input)
  // Without a reader, it stops in the middle of its input.
  while (stream.readableLength < stream.readableHighWaterMark)
    await new Promise(resolve => setImmediate(resolve))
  heap.close()
  const failed = once(stream, 'error')
  stream.resume()
  const [error] = await failed
  expect(error).toMatchObject({
    code: 'ERR_OFFHEAP_CLOSED',
    message: expect.stringContaining('Pin it')
  })
  expect(inflateSync(await promisify(deflate)(Buffer.alloc(300_000, 'abc')))).toHaveLength(300_000)
})

test('a pin shows its block, and cannot be changed', () => {
  const heap = newHeap()
  const view = heap.alloc(8)
  const pin = heap.pin(view)
  expect(String(pin)).toBe('[object Pin]')
  expect(JSON.stringify(pin)).toBe(`{"pointer":${view.byteOffset}}`)
  expect(Object.isFrozen(pin)).toBe(true)
  pin.unpin()
})

test('the leak report at close does not include owned blocks', () => {
  const leaks: number[] = []
  const heap = Heap.format(new ArrayBuffer(65536), {
    hardened: true,
    trackAllocations: true,
    onLeaks: found => leaks.push(...found.map(({ bytes }) => bytes))
  })
  const owned = heap.owned(100)
  heap.malloc(24)
  heap.close()
  expect(leaks).toEqual([24])
  expect(owned).toBeDefined()
})
