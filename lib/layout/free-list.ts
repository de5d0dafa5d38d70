/**
 * The doubly linked free list. It is circular through a sentinel: a place in the heap's header that
 * has a `next` and a `previous` where a block has them, so that no operation has to test for an
 * end.
 *
 *        ┌──────────────────────────────────────────────────────┐
 *        ▼                                                      │
 *     sentinel ──next──▶ free block ──next──▶ free block ──next─┘     (and back by previous)
 *
 * Every function takes the heap's words first; nothing else holds state.
 */
import { corrupt } from '../errors.js'
import { NEXT, PREVIOUS } from './block.js'

/** Empties the list of `sentinel`. */
export const clearList = (words: Int32Array, sentinel: number): void => {
  words[sentinel + NEXT] = sentinel
  words[sentinel + PREVIOUS] = sentinel
}

/** Inserts `block` between two neighbours of a list. */
export const link = (words: Int32Array, block: number, previous: number, next: number): void => {
  words[block + NEXT] = next
  words[block + PREVIOUS] = previous
  words[previous + NEXT] = block
  words[next + PREVIOUS] = block
}

/** Removes `block` from its list. */
export const unlink = (words: Int32Array, block: number): void => {
  const next = words[block + NEXT]
  const previous = words[block + PREVIOUS]
  words[previous + NEXT] = next
  words[next + PREVIOUS] = previous
}

/**
 * Verifies that the blocks of a list are linked backwards in the same order as forwards, up to the
 * sentinel. It is not enough that each neighbour links back: the word after the `next` of a
 * sentinel is its `previous`. Throws ERR_OFFHEAP_CORRUPT.
 */
export function checkLinks(words: Int32Array, sentinel: number, blocks: Iterable<number>): void {
  let last = sentinel
  for (const block of blocks) {
    if (words[block + PREVIOUS] !== last) throw misled(block)
    last = block
  }
  if (words[sentinel + PREVIOUS] !== last) throw misled(sentinel)
}

function misled(block: number): Error {
  return corrupt(`the free list is not linked both ways at byte ${block * 4}`)
}

/** Replaces `from` by `to` in its list. */
export const relink = (words: Int32Array, from: number, to: number): void => {
  link(words, to, words[from + PREVIOUS], words[from + NEXT])
}
