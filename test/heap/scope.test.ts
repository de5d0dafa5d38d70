/** Scopes: blocks allocated through a scope are freed at its end, and no others. */
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Heap, type HeapOptions, type Scope } from '../../lib/index.js'
import { scaled } from '../runs.js'
import { expectError, expectRefusal, newHeap } from './support.js'

const kinds: [string, HeapOptions][] = [
  ['an ordinary heap', {}],
  ['a heap with slabs', { placement: 'segregated-fit' }],
  ['a hardened heap', { hardened: true }]
]

const used = (heap: Heap): number[] =>
  [...heap.blocks()].filter(block => block.used).map(({ pointer }) => pointer)

describe.each(kinds)('a scope of %s', (_, options) => {
  const make = (): Heap => Heap.format(new ArrayBuffer(2 ** 18), options)

  test('allocates in every way that the heap does, and frees everything at its end', () => {
    const heap = make()
    const kept = heap.malloc(100)
    const before = heap.stats()
    {
      using scope = heap.scope()
      scope.malloc(10)
      expect(heap.view(scope.calloc(4, 4), 16).every(byte => byte === 0)).toBe(true)
      expect(scope.alignedAlloc(256, 10) % 256).toBe(0)
      expect(scope.alloc(10)).toHaveLength(10)
      expect([...scope.allocZeroed(3)]).toEqual([0, 0, 0])
      expect(Buffer.isBuffer(scope.allocBuffer(10))).toBe(true)
      expect(scope.allocArray(Float64Array, 3)).toHaveLength(3)
      expect(heap.readString(scope.allocString('abc', 'cstring'), 'cstring')).toBe('abc')
      expect(scope.toJSON()).toEqual({ blocks: 8, closed: false })
      expect(heap.stats().blocks).toBe(9)
    }
    expect(heap.stats()).toMatchObject({ used: before.used, blocks: 1 })
    expect(heap.owns(kept)).toBe(true)
    heap.check()
  })

  test('frees only its own blocks, whatever is allocated, resized, freed and released', () => {
    const step = fc.record({
      what: fc.constantFrom(
        'alloc',
        'free',
        'realloc',
        'resize',
        'release',
        'adopt',
        'open',
        'end',
        'outside'
      ),
      size: fc.nat(400),
      which: fc.nat(1000)
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const heap = make()
        const free = new Set<number>()
        /** The model: open scopes, the innermost last, and the blocks of each. */
        const open: { scope: Scope; blocks: number[] }[] = [{ scope: heap.scope(), blocks: [] }]
        const pick = (blocks: Iterable<number>, which: number): number | undefined => {
          const all = [...blocks]
          return all[which % Math.max(all.length, 1)]
        }
        for (const { what, size, which } of steps) {
          const innermost = open.at(-1)
          if (innermost === undefined) break
          const { scope, blocks } = innermost
          const block = pick(blocks, which)
          const replace = (pointer: number): void => {
            innermost.blocks = blocks
              .filter(other => other !== block)
              .concat(pointer === 0 ? [] : pointer)
          }
          if (what === 'alloc') blocks.push(scope.alloc(size).byteOffset)
          else if (what === 'outside') free.add(heap.malloc(size))
          else if (what === 'open') open.push({ scope: scope.scope(), blocks: [] })
          else if (what === 'end' && open.length > 1) {
            scope.close()
            open.pop()
          } else if (what === 'adopt') {
            const other = pick(free, which)
            if (other === undefined) continue
            expect(scope.adopt(other)).toBe(other)
            free.delete(other)
            blocks.push(other)
          } else if (block === undefined) continue
          else if (what === 'free') {
            scope.free(block)
            replace(0)
          } else if (what === 'realloc') replace(scope.realloc(block, size))
          else if (what === 'resize') replace(scope.resize(heap.view(block), size).byteOffset)
          else if (what === 'release') {
            expect(scope.release(block)).toBe(block)
            replace(0)
            const outer = open.at(-2)
            if (outer === undefined) free.add(block)
            else outer.blocks.push(block)
          }
          const expected = [...free, ...open.flatMap(one => one.blocks)].toSorted((a, b) => a - b)
          expect(used(heap)).toEqual(expected)
        }
        heap.check()
        open[0]?.scope.close()
        expect(used(heap)).toEqual([...free].toSorted((a, b) => a - b))
        for (const { scope } of open) expect(scope.closed).toBe(true)
        heap.check()
      }),
      { numRuns: scaled(60) }
    )
  })

  test('throws like the heap, and keeps no block of a failed call', () => {
    const heap = make()
    const scope = heap.scope()
    expect(scope.malloc(2 ** 30)).toBe(0)
    expectRefusal(heap, () => scope.malloc(-1), 'ERR_OUT_OF_RANGE')
    expectRefusal(heap, () => scope.free(8), 'ERR_OFFHEAP_INVALID_POINTER')
    expectError(() => scope.alloc(2 ** 30), 'ERR_OFFHEAP_OUT_OF_MEMORY')
    const block = scope.malloc(10)
    expect(scope.realloc(block, 2 ** 30)).toBe(0)
    expect(scope.toJSON()).toEqual({ blocks: 1, closed: false })
    expect(scope.realloc(block, 0)).toBe(0)
    expect(scope.toJSON()).toEqual({ blocks: 0, closed: false })
    scope.free(0)
    const foreign = heap.malloc(10)
    expectError(() => scope.release(foreign), 'ERR_OFFHEAP_INVALID_POINTER', /not of this scope/)
    expectError(() => scope.adopt(4), 'ERR_OFFHEAP_INVALID_POINTER')
    expectError(() => scope.adopt(0), 'ERR_OFFHEAP_INVALID_POINTER')
    scope.close()
    expect(used(heap)).toEqual([foreign])
  })

  test('throws after its end', () => {
    const heap = make()
    const scope = heap.scope()
    const inner = scope.scope()
    inner.malloc(10)
    scope.close()
    scope.close()
    for (const one of [scope, inner]) {
      expect(one.toJSON()).toEqual({ blocks: 0, closed: true })
      for (const action of [
        () => one.malloc(1),
        () => one.alloc(1),
        () => one.scope(),
        () => one.free(0),
        () => one.adopt(8),
        () => one.release(8),
        () => one.realloc(0, 1)
      ]) {
        expectError(action, 'ERR_OFFHEAP_CLOSED', /scope has ended/)
      }
    }
    expect(heap.stats().blocks).toBe(0)
  })

  test('ends with its heap, and frees no block allocated after a reset', () => {
    const heap = make()
    const scope = heap.scope()
    scope.malloc(10)
    heap.reset()
    expect(scope.closed).toBe(true)
    const block = heap.malloc(10)
    expectError(() => scope.malloc(1), 'ERR_OFFHEAP_CLOSED')
    scope.close()
    expect(used(heap)).toEqual([block])
    const last = heap.scope()
    last.malloc(10)
    heap.close()
    last.close()
    expect(last.closed).toBe(true)
    expectError(() => heap.scope(), 'ERR_OFFHEAP_CLOSED')
  })

  test('frees the other blocks if one was freed elsewhere, and throws', () => {
    const heap = make()
    const scope = heap.scope()
    scope.malloc(300)
    const wrong = scope.malloc(300)
    scope.malloc(300)
    heap.free(wrong)
    expectError(() => scope.close(), 'ERR_OFFHEAP_DOUBLE_FREE')
    expect(heap.stats().blocks).toBe(0)
    scope.close()
    heap.check()
  })

  test('keeps pinned blocks until they are unpinned', async () => {
    const heap = make()
    const scope = heap.scope()
    const block = scope.malloc(300)
    scope.malloc(300)
    const pin = heap.pin(block)
    expectError(() => scope.close(), 'ERR_OFFHEAP_PINNED')
    expect(used(heap)).toEqual([block])
    const waiting = scope[Symbol.asyncDispose]()
    pin.unpin()
    await waiting
    expect(heap.stats().blocks).toBe(0)
    await using quick = heap.scope()
    quick.malloc(1)
  })
})

test('a subscriber that ends the scope during a call leaves no block behind', async () => {
  const { subscribe, unsubscribe } = await import('node:diagnostics_channel')
  const heap = Heap.map(8 * 2 ** 20)
  const scope = heap.scope()
  const end = (): void => scope.close()
  subscribe('offheap:grow', end)
  try {
    expectError(() => scope.malloc(3 * 2 ** 20), 'ERR_OFFHEAP_CLOSED')
  } finally {
    unsubscribe('offheap:grow', end)
  }
  expect(heap.stats().blocks).toBe(0)
  heap.close()
})

test('a scope shows its number of blocks, and can be neither cloned nor changed', () => {
  const heap = newHeap()
  const scope = heap.scope()
  scope.malloc(1)
  expect(inspect(scope)).toBe('Scope { blocks: 1, closed: false }')
  expect(JSON.stringify(scope)).toBe('{"blocks":1,"closed":false}')
  expect(String(scope)).toBe('[object Scope]')
  expect(() => structuredClone(scope)).toThrow(/This scope/)
  Object.freeze(scope)
  scope.malloc(1)
  scope.close()
  expect(heap.stats().blocks).toBe(0)
})
