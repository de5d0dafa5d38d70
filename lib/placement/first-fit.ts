/**
 * First fit, exact and address-ordered: of all free blocks that are large enough, the one with the lowest address.
 * The free list is one doubly linked list in address order.
 */
import { NEXT, sizeOf } from '../block/block.js'
import { clearList, link, relink, unlink } from '../block/free-list.js'
import { FREE_LIST } from '../block/header.js'
import { corrupt } from '../errors.js'
import type { Placement, PlacementPolicy } from './placement.js'

class FirstFit implements Placement {
  readonly #words: Int32Array

  constructor(words: Int32Array) {
    this.#words = words
  }

  reset(): void {
    clearList(this.#words, FREE_LIST)
  }

  find(size: number): number {
    const words = this.#words
    let block = words[FREE_LIST + NEXT]
    while (block !== FREE_LIST) {
      if (sizeOf(words[block]) >= size) return block
      block = follow(words, block)
    }
    return 0
  }

  insert(block: number, _size: number): void {
    const words = this.#words
    let previous = FREE_LIST
    let next = words[FREE_LIST + NEXT]
    while (next !== FREE_LIST && next < block) {
      previous = next
      next = follow(words, next)
    }
    link(words, block, previous, next)
  }

  remove(block: number, _size: number): void {
    unlink(this.#words, block)
  }

  replace(from: number, _fromSize: number, to: number, _toSize: number): void {
    if (from !== to) relink(this.#words, from, to)
  }

  *list(): Iterable<number> {
    const words = this.#words
    for (let block = words[FREE_LIST + NEXT]; block !== FREE_LIST; block = follow(words, block)) yield block
  }

  check(): void {}
}

/** The free block behind `block`; addresses ascend, which also ends every walk. */
function follow(words: Int32Array, block: number): number {
  const next = words[block + NEXT]
  if (next !== FREE_LIST && !(next > block && next < words.length)) {
    throw corrupt(`the free list goes from the block at byte ${block * 4} to byte ${next * 4}`)
  }
  return next
}

export const firstFit: PlacementPolicy = {
  name: 'first-fit',
  number: 1,
  indexWords: () => 0,
  open: words => new FirstFit(words)
}
