/**
 * A treap of free blocks in the blocks themselves: a search tree by size, and by address among
 * equals, that is a heap by priority (Aragon and Seidel, "Randomized search trees", 1989). The
 * priority of a block is a hash of its address, so only the two children need room, and a tree of n
 * blocks is about 2 ln n deep.
 *
 *     ┌────────┬──────┬──────────┬──────┬───────┬───┬────────┐
 *     │ header │ next │ previous │ left │ right │ … │ footer │     at least 6 words
 *     └────────┴──────┴──────────┴──────┴───────┴───┴────────┘
 *
 * A tree is named by the word that holds its root. Its blocks are linked in the same order. Blocks
 * begin at odd words, so the lowest bit of `left` and `right` is redundant, and is kept clear: when
 * two blocks merge, `right` of the new one may lie where the header of the right one was, and a
 * clear USED bit there makes the old pointer be rejected.
 */

import { corrupt } from '../errors.js'
import { sizeOf } from '../layout/block.js'
import { link, unlink } from '../layout/free-list.js'

const LEFT = 3
const RIGHT = 4
/** The words of a block in a tree, from its header to its last link. */
export const TREE_WORDS = RIGHT + 1
/** No block: 0 in memory. */
const NONE = 1
/** Only a cycle is as deep as this. */
const DEEPEST = 512

/** Inserts a block of `size` words into the tree at `root`, and into the list of `sentinel`. */
export function plant(
  words: Int32Array,
  root: number,
  sentinel: number,
  block: number,
  size: number
): void {
  const priority = priorityOf(block)
  let previous = sentinel
  let next = sentinel
  let slot = root
  let node = words[slot] | 1
  let depth = 0
  while (node !== NONE && priorityOf(node) > priority) {
    if (isBefore(words, node, block, size)) {
      previous = node
      slot = node + RIGHT
    } else {
      next = node
      slot = node + LEFT
    }
    node = words[slot] | 1
    if (++depth > DEEPEST) throw tooDeep(node)
  }
  // From here down everything goes below the block: smaller ones to its left, larger ones to its
  // right.
  words[slot] = block - 1
  let left = block + LEFT
  let right = block + RIGHT
  while (node !== NONE) {
    if (isBefore(words, node, block, size)) {
      words[left] = node - 1
      previous = node
      left = node + RIGHT
      node = words[left] | 1
    } else {
      words[right] = node - 1
      next = node
      right = node + LEFT
      node = words[right] | 1
    }
    if (++depth > DEEPEST) throw tooDeep(node)
  }
  words[left] = 0
  words[right] = 0
  link(words, block, previous, next)
}

/** Removes a block of `size` words from the tree at `root` and from its list. */
export function uproot(words: Int32Array, root: number, block: number, size: number): void {
  let slot = root
  let node = words[slot] | 1
  let depth = 0
  while (node !== block) {
    if (node === NONE || ++depth > DEEPEST) {
      throw corrupt(`the free block at byte ${block * 4} is not in the tree of its size`)
    }
    slot = isBefore(words, node, block, size) ? node + RIGHT : node + LEFT
    node = words[slot] | 1
  }
  // Join its two subtrees in its place.
  let left = words[block + LEFT] | 1
  let right = words[block + RIGHT] | 1
  while (left !== NONE && right !== NONE) {
    if (priorityOf(left) > priorityOf(right)) {
      words[slot] = left - 1
      slot = left + RIGHT
      left = words[slot] | 1
    } else {
      words[slot] = right - 1
      slot = right + LEFT
      right = words[slot] | 1
    }
    if (++depth > DEEPEST) throw tooDeep(left)
  }
  words[slot] = (left === NONE ? right : left) - 1
  unlink(words, block)
}

/**
 * Returns the smallest block of at least `size` words, the lowest among equals; 0 if there is none.
 */
export function smallestFrom(words: Int32Array, root: number, size: number): number {
  let best = 0
  let node = words[root] | 1
  for (let depth = 0; node !== NONE; depth++) {
    if (depth > DEEPEST) throw tooDeep(node)
    if (sizeOf(words[node]) >= size) {
      best = node
      node = words[node + LEFT] | 1
    } else node = words[node + RIGHT] | 1
  }
  return best
}

/**
 * Yields the blocks of the tree at `root`, in order. Throws ERR_OFFHEAP_CORRUPT if it is not a
 * treap.
 */
export function* treeOf(words: Int32Array, root: number): Generator<number, void, undefined> {
  const above: number[] = []
  let previous = 0
  let node = words[root] | 1
  while (node !== NONE || above.length > 0) {
    for (; node !== NONE; node = words[node + LEFT] | 1) {
      const parent = above.at(-1)
      if (parent !== undefined && !(priorityOf(node) < priorityOf(parent))) throw tooDeep(node)
      above.push(node)
      if (above.length > DEEPEST) throw tooDeep(node)
    }
    const block = above.pop() ?? 0
    if (previous !== 0 && !isBefore(words, previous, block, sizeOf(words[block]))) {
      throw corrupt(
        `the tree of free blocks holds the blocks at bytes ${previous * 4} and ${block * 4} ` +
          `in the wrong order`
      )
    }
    yield block
    previous = block
    node = words[block + RIGHT] | 1
  }
}

/** Does `node` come before a block with that address and size? */
function isBefore(words: Int32Array, node: number, block: number, size: number): boolean {
  const has = sizeOf(words[node])
  return has === size ? node < block : has < size
}

/** A bijective hash that mixes all bits: no two blocks have the same priority. */
function priorityOf(block: number): number {
  const mixed = Math.imul(block, 0x9e3779b1)
  return Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b)
}

function tooDeep(block: number): Error {
  return corrupt(`the links of the tree of free blocks contradict each other at byte ${block * 4}`)
}
