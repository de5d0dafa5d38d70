/** Returned pages: never one with a used byte, whatever the header and the lists say. */
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { type Pages, QUIET } from '../../lib/engine/engine.js'
import { ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import { headerOf, NEXT, PREVIOUS_USED } from '../../lib/layout/block.js'
import { FIRST_WORD, FREE_LIST, TOP_WORD, TOUCHED_WORD } from '../../lib/layout/header.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { expectError } from '../heap/support.js'

/** A heap of `length` words, its pages of 4 KiB, and those that it returned. */
function make(length = 2 ** 14) {
  const policy = policyNamed('first-fit')
  const words = new Int32Array(length)
  const header = { policy, options: 0, length }
  writeHeader(words, header, ordinaryLayout(length, policy, false), 0, true)
  const heap = new Allocator(words, header, QUIET)
  heap.reset()
  const given: [offset: number, length: number][] = []
  const pages: Pages = {
    pageSize: 4096,
    decommit: (offset, bytes) => {
      given.push([offset, bytes])
      words.fill(0, offset / 4, (offset + bytes) / 4)
    }
  }
  return { words, heap, pages, given }
}

describe('trim', () => {
  test.each<[what: string, change: (words: Int32Array) => void]>([
    [
      'a wilderness in front of the first block',
      words => (words[TOP_WORD] = words[FIRST_WORD] - 2)
    ],
    ['less that was touched than blocks', words => (words[TOUCHED_WORD] = words[TOP_WORD] - 2)],
    ['more that was touched than memory', words => (words[TOUCHED_WORD] = words.length)]
  ])('gives nothing of a heap whose header says %s', (_, change) => {
    const { words, heap, pages, given } = make()
    heap.allocate(20_000)
    change(words)
    const [top, touched] = [words[TOP_WORD] * 4, words[TOUCHED_WORD] * 4]
    const message = new RegExp(
      `wilderness begins at byte ${top}, untouched from byte ${touched} on`
    )
    expectError(() => heap.trim(pages), 'ERR_OFFHEAP_CORRUPT', message)
    expect(given).toEqual([])
  })

  test.each<[what: string, at: (words: Int32Array) => number, size: number]>([
    ['in the header', () => 17, 6000],
    ['that ends behind the last block', words => words[TOP_WORD] - 3001, 6000]
  ])('gives nothing of a free block %s', (_, at, size) => {
    const { words, heap, pages, given } = make()
    heap.allocate(40_000)
    const block = at(words)
    words[FREE_LIST + NEXT] = block
    words[block] = headerOf(size, PREVIOUS_USED)
    words[block + NEXT] = FREE_LIST
    const message = new RegExp(`byte ${block * 4} is in the free list, but no block is there`)
    expectError(() => heap.trim(pages), 'ERR_OFFHEAP_CORRUPT', message)
    expect(given).toEqual([])
  })

  test('returns how many bytes it gave back', () => {
    const { heap, pages, given } = make()
    const [first, , second] = [20_000, 100, 16_000, 100].map(bytes => heap.allocate(bytes))
    heap.free(first)
    heap.free(second)
    const bytes = heap.trim(pages)
    expect(given).toHaveLength(2)
    expect(bytes).toBe(given[0][1] + given[1][1])
  })

  test('clears the free part of a last page that the heap shares, and no used byte of it', () => {
    for (const used of [500, 5000]) {
      // Half a page more than a whole number.
      const { words, heap, pages } = make(2 ** 14 + 512)
      const low = heap.allocate(60_000)
      const block = heap.allocate(used)
      const high = heap.allocate(heap.stats(0).largestFree)
      const fill = (pointer: number): void =>
        void words.fill(-1, pointer / 4, pointer / 4 + Math.floor(heap.usableSize(pointer) / 4))
      for (const pointer of [low, block, high]) fill(pointer)
      heap.free(high)
      heap.trim(pages)
      const end = block / 4 + Math.floor(heap.usableSize(block) / 4)
      expect(words.subarray(block / 4, end).every(word => word === -1)).toBe(true)
      const zeroed = heap.allocateZeroed(heap.stats(0).largestFree)
      expect(words.subarray(zeroed / 4, words.length - 1).every(word => word === 0)).toBe(true)
      heap.check()
    }
  })
})
