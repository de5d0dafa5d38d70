/**
 * Returns whole free pages of a heap to the system: those in free blocks and in touched wilderness.
 */
import { corrupt } from '../errors.js'
import { sizeOf } from '../layout/block.js'
import { FIRST_WORD, FREED_WORD, TOP_WORD, TOUCHED_WORD } from '../layout/header.js'
import type { Placement } from '../placement/placement.js'
import type { Pages } from './engine.js'

/**
 * Returns the number of bytes returned to the system, resident or not. Throws ERR_OFFHEAP_SYSTEM.
 */
export function trimPages(words: Int32Array, policy: Placement, pages: Pages): number {
  const { pageSize } = pages
  let bytes = 0
  const give = (begin: number, end: number): void => {
    const first = Math.ceil(begin / pageSize) * pageSize
    const last = Math.floor(end / pageSize) * pageSize
    if (last <= first) return
    pages.decommit(first, last - first)
    bytes += last - first
  }
  const [first, top, touched] = [words[FIRST_WORD], words[TOP_WORD], words[TOUCHED_WORD]]
  if (!(top >= first && touched >= top && touched < words.length)) {
    throw corrupt(
      `its header says that the wilderness begins at byte ${top * 4}, untouched from byte ` +
        `${touched * 4} on`
    )
  }
  for (const block of policy.list()) {
    const size = sizeOf(words[block])
    if (!(block >= first && block + size <= top)) {
      throw corrupt(`byte ${block * 4} is in the free list, but no block is there`)
    }
    // Header, links and footer stay where they are.
    give((block + policy.keptWords) * 4, (block + size - 1) * 4)
  }
  give(top * 4, Math.min(Math.ceil((touched * 4) / pageSize) * pageSize, words.byteLength))
  // If the last page does not belong to the heap alone, clear the heap's part of it instead.
  const shared = Math.floor(words.byteLength / pageSize) * (pageSize / 4)
  if (top <= shared) words.fill(0, shared, touched)
  // The wilderness is zero again from its first whole page on.
  const zero = Math.ceil((words[TOP_WORD] * 4) / pageSize) * pageSize
  words[TOUCHED_WORD] = Math.min(words[TOUCHED_WORD], zero / 4 + 1)
  words[FREED_WORD] = 0
  return bytes
}
