/**
 * The tree of free blocks of best fit on its own: it agrees with a sorted array, and every walk
 * over overwritten links ends.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { headerOf, NEXT, PREVIOUS, PREVIOUS_USED, sizeOf } from '../../lib/layout/block.js'
import { plant, smallestFrom, treeOf, uproot } from '../../lib/placement/size-tree.js'
import { expectError } from '../heap/support.js'
import { scaled } from '../runs.js'

const CORRUPT = 'ERR_OFFHEAP_CORRUPT'
const LEFT = 3
const RIGHT = 4
/**
 * Word indexes: the root of the tree, the sentinel of the list, the first block; and the room that
 * each block has.
 */
const ROOT = 20
const SENTINEL = 30
const FIRST = 101
const ROOM = 40

const blockAt = (i: number): number => FIRST + i * ROOM

/** Memory with an empty tree, and blocks that are not in it yet. */
function memory(sizes: readonly number[]): Int32Array {
  const words = new Int32Array(FIRST + sizes.length * ROOM)
  words[SENTINEL + NEXT] = SENTINEL
  words[SENTINEL + PREVIOUS] = SENTINEL
  sizes.forEach((size, i) => {
    words[blockAt(i)] = headerOf(size, PREVIOUS_USED)
  })
  return words
}

function plantAt(words: Int32Array, block: number): void {
  plant(words, ROOT, SENTINEL, block, sizeOf(words[block]))
}

function uprootAt(words: Int32Array, block: number): void {
  uproot(words, ROOT, block, sizeOf(words[block]))
}

/** Memory whose blocks are all in the tree. */
function planted(sizes: readonly number[]): Int32Array {
  const words = memory(sizes)
  for (let i = 0; i < sizes.length; i++) plantAt(words, blockAt(i))
  return words
}

/** The blocks of the list, front to back; and back to front. */
function listed(words: Int32Array, link = NEXT): number[] {
  const blocks: number[] = []
  for (let block = words[SENTINEL + link]; block !== SENTINEL; block = words[block + link])
    blocks.push(block)
  return blocks
}

/** The root: links keep the lowest bit clear, and blocks begin at odd words. */
function rootOf(words: Int32Array): number {
  return words[ROOT] | 1
}

/** Leads both children of a block back to itself. */
function curl(words: Int32Array, block: number): void {
  words[block + LEFT] = block
  words[block + RIGHT] = block
}

test('orders blocks by size and address, whatever is inserted and removed', () => {
  const sizes = fc.array(
    fc.integer({ min: 3, max: 12 }).map(units => units * 2),
    { minLength: 1, maxLength: 60, size: 'max' }
  )
  const toggles = fc.array(fc.nat(59), { minLength: 1, maxLength: 150, size: 'max' })
  fc.assert(
    fc.property(sizes, toggles, (all, which) => {
      const words = memory(all)
      let expected: number[] = []
      const order = (a: number, b: number): number => sizeOf(words[a]) - sizeOf(words[b]) || a - b
      for (const block of which.map(i => blockAt(i % all.length))) {
        if (expected.includes(block)) {
          uprootAt(words, block)
          expected = expected.filter(other => other !== block)
        } else {
          plantAt(words, block)
          expected = [...expected, block].sort(order)
        }
        expect([...treeOf(words, ROOT)]).toEqual(expected)
      }
      expect(listed(words)).toEqual(expected)
      expect(listed(words, PREVIOUS).reverse()).toEqual(expected)
      for (let size = 4; size <= 26; size += 2) {
        expect(smallestFrom(words, ROOT, size)).toBe(
          expected.find(block => sizeOf(words[block]) >= size) ?? 0
        )
      }
    }),
    { numRuns: Math.max(5, scaled(300)) }
  )
})

test('keeps thousands of blocks of one size in address order, and removes them', () => {
  const words = planted(Array.from({ length: 5000 }, () => 6))
  const blocks = Array.from({ length: 5000 }, (_, i) => blockAt(i))
  expect([...treeOf(words, ROOT)]).toEqual(blocks)
  // From the middle outwards, so that most have two children when they are removed.
  const shuffled = [...blocks].sort((a, b) => ((a * 7919) % 10007) - ((b * 7919) % 10007))
  for (const block of shuffled.slice(0, 4900)) uprootAt(words, block)
  expect([...treeOf(words, ROOT)]).toEqual(shuffled.slice(4900).sort((a, b) => a - b))
})

describe('a cycle of links throws', () => {
  test('when a block is inserted above or below it', () => {
    for (let i = 1; i < 40; i++) {
      const words = memory(Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? 8 : 10)))
      plantAt(words, blockAt(0))
      curl(words, blockAt(0))
      expectError(
        () => plantAt(words, blockAt(i)),
        CORRUPT,
        new RegExp(`tree .* at byte ${blockAt(0) * 4}\\.`)
      )
    }
  })

  test('when a block is searched, by size or by itself', () => {
    const words = planted([8, 8, 8, 8])
    const root = rootOf(words)
    curl(words, root)
    for (const size of [6, 8, 20]) {
      expectError(
        () => smallestFrom(words, ROOT, size),
        CORRUPT,
        new RegExp(`at byte ${root * 4}\\.`)
      )
    }
    for (const block of [0, 1, 2, 3].map(blockAt).filter(block => block !== root)) {
      expectError(
        () => uprootAt(words, block),
        CORRUPT,
        new RegExp(`byte ${block * 4} is not in the tree`)
      )
    }
  })

  test('when the two subtrees of a block are joined', () => {
    const words = planted(Array.from({ length: 60 }, () => 8))
    const block = blockAt(30)
    const [left, right] = [blockAt(10), blockAt(50)]
    words[ROOT] = block
    words[block + LEFT] = left
    words[block + RIGHT] = right
    curl(words, left)
    curl(words, right)
    expectError(() => uprootAt(words, block), CORRUPT, /tree of free blocks/)
  })

  test('when the tree is traversed', () => {
    for (const side of [LEFT, RIGHT]) {
      const words = planted([8, 8, 8, 8, 8, 8])
      words[rootOf(words) + side] = rootOf(words)
      expectError(() => [...treeOf(words, ROOT)], CORRUPT, new RegExp(`\\b${rootOf(words) * 4}\\b`))
    }
  })
})

test('a block that is not in the tree throws when it is removed', () => {
  const words = planted([8])
  uprootAt(words, blockAt(0))
  // Where the children of a block that does not exist would be.
  words[1 + LEFT] = blockAt(0)
  words[1 + RIGHT] = blockAt(0)
  expectError(
    () => uprootAt(words, blockAt(0)),
    CORRUPT,
    new RegExp(`byte ${blockAt(0) * 4} is not in the tree`)
  )
})

describe('a traversal of the tree finds', () => {
  test('a block whose size has changed', () => {
    const words = planted([8, 10, 12])
    words[blockAt(1)] = headerOf(20, PREVIOUS_USED)
    const message = new RegExp(`bytes ${blockAt(1) * 4} and ${blockAt(2) * 4} in the wrong order`)
    expectError(() => [...treeOf(words, ROOT)], CORRUPT, message)
  })

  test('a child in the place of its parent', () => {
    // The root has the highest priority of all; here another block is above it.
    const words = planted(Array.from({ length: 30 }, () => 8))
    const root = rootOf(words)
    const above = [...treeOf(words, ROOT)].at(-1) ?? 0
    expect(above).not.toBe(root)
    words[ROOT] = above
    words[above + LEFT] = root
    words[above + RIGHT] = 0
    words[root + LEFT] = 0
    words[root + RIGHT] = 0
    expectError(() => [...treeOf(words, ROOT)], CORRUPT, new RegExp(`at byte ${root * 4}\\.`))
  })
})
