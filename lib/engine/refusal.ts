/**
 * Finds out what is wrong with a pointer. The calls themselves only detect, in a few instructions,
 * that something is wrong; this walks the whole heap to find out what.
 */
import { corrupt, OffheapError } from '../errors.js'
import { blockOf, pointerOf } from '../layout/block.js'
import { FIRST_WORD, HIGH_WATER_WORD, SIZE_WORD, TOP_WORD } from '../layout/header.js'
import type { Pointer } from './engine.js'
import type { Slabs } from './slabs.js'
import { eachBlock } from './walk.js'

/**
 * The error for `pointer`, an integer from 0, where no used block begins. `base` is the caller's
 * pointer of the first byte of the heap: 0, except for arenas of a shared heap.
 */
export function refusalOf(
  words: Int32Array,
  slabs: Slabs,
  call: string,
  given: Pointer,
  base = 0
): Error {
  const pointer = given - base
  const bytes = words[SIZE_WORD] * 8
  if (given === 0) return invalid(call, given, 'is NULL')
  if (pointer % 8 !== 0) return invalid(call, given, 'is not a multiple of 8, as every pointer is')
  if (pointer < pointerOf(words[FIRST_WORD]))
    return invalid(call, given, "lies in the heap's own header or index")
  if (pointer >= bytes)
    return invalid(call, given, `lies outside the heap, which has ${bytes} bytes`)
  const block = blockOf(pointer)
  if (block >= words[TOP_WORD]) {
    return block < words[HIGH_WATER_WORD]
      ? doubleFree(call, given, 'was freed before and has become wilderness')
      : invalid(call, given, 'lies in the wilderness, which was never allocated')
  }
  for (const info of eachBlock(words, slabs)) {
    const { offset, size, used, slab } = info
    if (pointer < offset || pointer >= offset + size) continue
    const what = slab === undefined ? 'block' : 'slot'
    const where = `the ${what} at ${base + info.pointer} (${size} bytes)`
    if (!used)
      return doubleFree(
        call,
        given,
        `is free already${info.pointer === pointer ? '' : `: it is part of ${where}`}`
      )
    if (info.pointer !== pointer) {
      return invalid(call, given, `lies inside ${where}; pass the pointer to its beginning`)
    }
    return corrupt(`${where} and the one after it disagree about which of them is used`)
  }
  // Only the end of a slab belongs to no block and no slot.
  return invalid(call, given, 'lies between the slots of a slab')
}

function invalid(call: string, pointer: Pointer, why: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_INVALID_POINTER', `${call}: the pointer ${pointer} ${why}`)
}

function doubleFree(call: string, pointer: Pointer, why: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_DOUBLE_FREE', `${call}: the block at ${pointer} ${why}`)
}
