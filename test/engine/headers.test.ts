/** Forged or overwritten block headers: no call follows one that its neighbours contradict. */
import { describe, expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { headerOf, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import { expectError, expectRefusal } from '../heap/support.js'

describe.each([false, true])('with slabs: %s', slabs => {
  const make = (): Heap => Heap.format(new ArrayBuffer(65536), { slabs })

  test.each([800, 3000])(
    'a pointer into the header is refused, even if the header looks like a used block (%i)',
    bytes => {
      const heap = make()
      // Whatever size the header has, the next header, which is in this range, seems to confirm it.
      const block = heap.malloc(bytes)
      heap.view(block).fill(0xff)
      for (let pointer = 8; pointer < block; pointer += 8) {
        expect(heap.owns(pointer)).toBe(false)
        expectRefusal(
          heap,
          () => heap.free(pointer),
          'ERR_OFFHEAP_INVALID_POINTER',
          /header or index/
        )
        expectRefusal(
          heap,
          () => heap.realloc(pointer, 8),
          'ERR_OFFHEAP_INVALID_POINTER',
          /header or index/
        )
      }
    }
  )

  /**
   * A small block filled with 0xff, as is the memory after it if no block follows, and a check that
   * no call accepts it.
   */
  function expectNoCall(header: number, neighbour: boolean, code: string): void {
    const heap = make()
    const block = heap.malloc(200)
    heap.view(block).fill(0xff)
    if (neighbour) heap.malloc(200)
    else heap.u8.fill(0xff, heap.stats().top + 4)
    heap.i32[block / 4 - 1] = header
    expect(heap.owns(block)).toBe(false)
    const before = heap.u8.slice()
    for (const call of [
      () => heap.free(block),
      () => heap.realloc(block, 8),
      () => heap.usableSize(block)
    ]) {
      expectError(call, code)
    }
    expect(Buffer.compare(heap.u8, before)).toBe(0)
  }

  test.each([
    [2, 'smaller than any block'],
    [200, 'ends in the wilderness'],
    [400, 'ends in the wilderness']
  ])('a header that was overwritten with a size of %i words, %s, is seen', words => {
    expectNoCall(headerOf(words, USED | PREVIOUS_USED), false, 'ERR_OFFHEAP_CORRUPT')
  })

  test('a header without its USED bit is detected', () => {
    expectNoCall(headerOf(52, PREVIOUS_USED), true, 'ERR_OFFHEAP_DOUBLE_FREE')
  })

  test('a neighbour whose PREVIOUS_USED bit is clear is detected', () => {
    const heap = make()
    const [block, next] = [heap.malloc(200), heap.malloc(200)]
    heap.i32[next / 4 - 1] = headerOf(52, USED)
    const before = heap.u8.slice()
    expectError(() => heap.free(block), 'ERR_OFFHEAP_CORRUPT', /disagree/)
    expect(Buffer.compare(heap.u8, before)).toBe(0)
  })
})
