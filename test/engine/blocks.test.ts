/**
 * Limits of blocks: overwritten lists and headers are not trusted, and memory is used to the last
 * word.
 */
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { type Host, QUIET } from '../../lib/engine/engine.js'
import { ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import { headerOf, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import { TOP_WORD } from '../../lib/layout/header.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { expectError, expectSameWords } from '../heap/support.js'

const CORRUPT = 'ERR_OFFHEAP_CORRUPT'
const policy = policyNamed('first-fit')

/** A heap of 64 KiB, and how often it reported that it had grown. */
function make(length = 2 ** 14) {
  let grown = 0
  const host: Host = { ...QUIET, grown: () => void grown++ }
  const words = new Int32Array(length)
  const header = { policy, options: 0, length }
  writeHeader(words, header, ordinaryLayout(length, policy, false), 0, true)
  const heap = new Allocator(words, header, host)
  heap.reset()
  const { blocks } = heap
  /** Adjacent blocks with these numbers of words, and a used block after the last. */
  const row = (...sizes: number[]): number[] => {
    const all = sizes.map(size => blocks.allocate(size))
    blocks.allocate(4)
    return all
  }
  const sizes = (): string =>
    [...heap.eachBlock()].map(({ used, size }) => `${used ? 'u' : 'f'}${size / 4}`).join(' ')
  return { words, heap, blocks, row, sizes, grownCount: () => grown }
}

type Made = ReturnType<typeof make>

/** Expects `call` to throw and to change no word. */
function expectNoChange(made: Made, call: () => unknown, message: RegExp): void {
  const before = made.words.slice()
  expectError(call, CORRUPT, message)
  expectSameWords(made.words, before)
}

test('nothing is allocated where the wilderness begins before the first block', () => {
  const made = make()
  const { words, blocks } = made
  words[TOP_WORD] = blocks.first - 2
  const message = /wilderness begins before the first block/
  expectNoChange(made, () => blocks.extend(4), message)
  expectNoChange(made, () => blocks.allocateAligned(64, 8), message)
})

describe('place()', () => {
  test('refuses a block that is outside the heap, used, or too small', () => {
    const made = make()
    const { words, blocks, row } = made
    const [used, free, last] = row(20, 20, 20)
    blocks.free(free)
    const expectMisled = (block: number, need: number): void =>
      expectNoChange(
        made,
        () => blocks.place(block, need),
        new RegExp(`free blocks lead to byte ${block * 4}, where`)
      )
    expectMisled(used, 20)
    expectMisled(free, 22)
    // Valid-looking words before the first block and after the last.
    const below = blocks.first - 2
    words[below] = headerOf(8, PREVIOUS_USED)
    expectMisled(below, 8)
    const beyond = words[TOP_WORD] + 100
    words[beyond] = headerOf(20, PREVIOUS_USED)
    expectMisled(beyond, 20)
    const size = words[TOP_WORD] - last + 2
    words[last] = headerOf(size, PREVIOUS_USED)
    expectMisled(last, 20)
    words[last] = headerOf(20, USED)
    expect(blocks.place(free, 20)).toBe(free)
  })

  test('with alignment refuses such blocks too', () => {
    const made = make()
    const { words, blocks, row } = made
    /** The next word that is 4 words before the header of an aligned block. */
    const beforeAligned = (word: number): number => word + ((11 - (word % 8)) % 8)
    const top = words[TOP_WORD]
    blocks.extend(8 + beforeAligned(top) - top)
    const [used, free, last] = row(24, 24, 24)
    blocks.free(free)
    const expectMisled = (block: number, need = 8): void =>
      expectNoChange(
        made,
        () => blocks.placeAligned(block, 8, need),
        new RegExp(`free blocks lead to byte ${block * 4}, where`)
      )
    expectMisled(used)
    expectMisled(free, 22)
    const below = beforeAligned(blocks.first - 16)
    words[below] = headerOf(24, PREVIOUS_USED)
    expectMisled(below)
    const beyond = beforeAligned(words[TOP_WORD] + 100)
    words[beyond] = headerOf(24, PREVIOUS_USED)
    expectMisled(beyond)
    words[last] = headerOf(words[TOP_WORD] - last + 2, PREVIOUS_USED)
    expectMisled(last)
    words[last] = headerOf(24, USED)
    expect(blocks.placeAligned(free, 8, 8)).toBe(free + 4)
  })

  test('splits off a remainder that is large enough for a block', () => {
    const { blocks, row, sizes } = make()
    const [a, b] = row(20, 20)
      .filter((_, i) => i === 0)
      .concat(blocks.allocate(20))
    blocks.allocate(4)
    blocks.free(a)
    blocks.free(b)
    blocks.place(a, 16)
    blocks.place(b, 18)
    expect(sizes()).toBe('u16 f4 u20 u4 u20 u4')
  })
})

describe('free()', () => {
  test('does not follow a boundary tag that leads outside, forward, or to another size', () => {
    const made = make()
    const { words, blocks, row } = made
    const [left, block] = row(20, 20)
    blocks.free(left)
    const tag = block - 1
    const expectUnmatched = (): void =>
      expectNoChange(
        made,
        () => blocks.free(block),
        new RegExp(`side of byte ${block * 4} disagree`)
      )
    // Something that looks like a free block of this size, before the first block.
    const below = block - blocks.first + 4
    words[tag] = below
    words[block - below] = headerOf(below, PREVIOUS_USED)
    expectUnmatched()
    words[tag] = -8
    words[block + 8] = headerOf(-8, PREVIOUS_USED)
    expectUnmatched()
    words[tag] = 18
    expectUnmatched()
    words[tag] = 20
    words[left] = headerOf(20, 0)
    expectUnmatched()
    words[left] = headerOf(20, PREVIOUS_USED)
    expect(blocks.free(block)).toBe(true)
  })

  test.each<[call: string, run: (made: Made, block: number) => unknown]>([
    ['free', ({ blocks }, block) => blocks.free(block)],
    ['growing', ({ blocks }, block) => blocks.resizeInPlace(block, 20, 22)],
    ['shrinking by less than a block', ({ blocks }, block) => blocks.resizeInPlace(block, 20, 18)]
  ])('%s believes no free right neighbour that ends behind the last block', (_, run) => {
    const made = make()
    const { words, blocks, row } = made
    const [block, next] = row(20, 20)
    blocks.free(next)
    words[next] = headerOf(words[TOP_WORD] - next + 2, PREVIOUS_USED)
    expectNoChange(made, () => run(made, block), new RegExp(`side of byte ${next * 4} disagree`))
  })
})

describe('blocks', () => {
  test('of the wilderness use its last word: by malloc, by growing, and by moving', () => {
    const all = (): Made & { block: number; rest: number } => {
      const made = make()
      const [block] = made.row(20)
      return { ...made, block, rest: made.blocks.limit - made.words[TOP_WORD] }
    }
    const first = all()
    const need = first.rest
    expect(first.blocks.extend(need)).toBeGreaterThan(0)
    expect(first.blocks.extend(4)).toBe(0)
    const second = all()
    const top = second.words[TOP_WORD]
    expect(second.heap.resize(second.block * 4 + 4, need * 4 - 4)).toBe(top * 4 + 4)
    second.heap.check()
    const third = all()
    expect(third.heap.resize(third.block * 4 + 4, need * 4 + 4)).toBe(0)
    third.heap.check()
    const fourth = all()
    const last = fourth.blocks.extend(20)
    expect(fourth.blocks.resizeInPlace(last, 20, need)).toBe(true)
    expect(fourth.blocks.resizeInPlace(last, need, need + 2)).toBe(false)
    fourth.heap.check()
  })

  test('with alignment leave a free remainder if it is large enough', () => {
    for (const [rest, expected] of [
      [4, 'u16 f16 u12 f4 u4'],
      [2, 'u16 f16 u14 u4'],
      [0, 'u16 f16 u12 u4']
    ] as const) {
      const { heap, blocks, words, sizes } = make()
      blocks.allocate(16 + ((31 - words[TOP_WORD]) % 32))
      // Half way between two possible places for the block.
      const hole = blocks.allocate(16 + 12 + rest)
      blocks.allocate(4)
      blocks.free(hole)
      const aligned = blocks.placeAligned(hole, 32, 12)
      expect((aligned + 1) % 32).toBe(0)
      expect(sizes().replace(/^u\d+/, 'u16')).toBe(expected)
      heap.check()
    }
  })

  test('report growth at each multiple of 1 MiB, even if it is reached exactly', () => {
    const made = make(2 ** 20)
    made.heap.allocate(2 ** 20 - 4)
    expect(made.grownCount()).toBe(1)
    made.heap.allocate(2 ** 19)
    expect(made.grownCount()).toBe(1)
    made.heap.allocate(2 ** 19)
    expect(made.grownCount()).toBe(2)
  })
})
