/**
 * Names what is wrong with a pointer that was given back. The calls themselves only find that something is wrong, in a few
 * instructions; here the whole heap is walked to say what, in the words of its caller.
 */
import { pointerOf, USED } from '../block/block.js'
import { FIRST_WORD, HIGH_WATER_WORD, SIZE_WORD, TOP_WORD } from '../block/header.js'
import { corrupt, OffheapError } from '../errors.js'
import { checkPointer, type Pointer } from './arguments.js'
import { isCachedBlock, sizeAt, walk } from './walk.js'

/** The error for `pointer`, which is not that of a used block. */
export function faultOf(words: Int32Array, call: string, pointer: Pointer): Error {
  checkPointer(pointer)
  const first = words[FIRST_WORD]
  if (pointer === 0) return invalid(call, pointer, 'is NULL')
  if (pointer % 8 !== 0) return invalid(call, pointer, 'is not a multiple of 8, as every pointer is')
  if (pointer < pointerOf(first)) return invalid(call, pointer, "lies in the heap's own header or index")
  if (pointer >= sizeOfHeap(words)) {
    return invalid(call, pointer, `lies outside the heap, which has ${sizeOfHeap(words)} bytes`)
  }
  const block = pointer / 4 - 1
  if (block >= words[TOP_WORD]) {
    return block < words[HIGH_WATER_WORD]
      ? doubleFree(call, pointer, 'was given back before and has become wilderness')
      : invalid(call, pointer, 'lies in the wilderness, which was never handed out')
  }
  return inside(words, call, pointer, block)
}

/** The same for a pointer between the first block and the wilderness. */
function inside(words: Int32Array, call: string, pointer: Pointer, block: number): Error {
  for (const candidate of walk(words)) {
    const header = words[candidate]
    const size = sizeAt(words, candidate)
    const end = candidate + size
    if (block >= end) continue
    const where = `the block at ${pointerOf(candidate)} (${size * 4} bytes)`
    if ((header & USED) === 0 || isCachedBlock(words, candidate)) {
      return doubleFree(call, pointer, `is free already${candidate === block ? '' : `: it is part of ${where}`}`)
    }
    if (candidate !== block) return invalid(call, pointer, `lies inside ${where}; only its beginning can be given`)
    return corrupt(`${where} and the one behind it disagree about which of them is used`)
  }
  return corrupt(`no block covers byte ${pointer}`)
}

/** The bytes that the heap manages, from its header on. */
function sizeOfHeap(words: Int32Array): number {
  return words[SIZE_WORD] * 8
}

function invalid(call: string, pointer: Pointer, why: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_INVALID_POINTER', `${call}: the pointer ${pointer} ${why}`)
}

function doubleFree(call: string, pointer: Pointer, why: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_DOUBLE_FREE', `${call}: the block at ${pointer} ${why}`)
}
