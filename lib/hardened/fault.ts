/**
 * The errors of a hardened heap: what is wrong with a pointer, or which unowned byte was written.
 * Each includes the block that it is about, and its stacks if they are recorded.
 */
import type { Pointer } from '../engine/engine.js'
import { walk } from '../engine/walk.js'
import { corrupt, type FaultyBlock, OffheapError, type OffheapErrorCode } from '../errors.js'
import { sizeOf, USED } from '../layout/block.js'
import { FIRST_WORD, HIGH_WATER_WORD, SIZE_WORD, TOP_WORD } from '../layout/header.js'
import { SLOT_BYTES, slotOf } from './layout.js'
import { type Seals, SLACK } from './seals.js'
import type { Stacks } from './stacks.js'

/** The bytes that were requested for a used or quarantined block. */
export function requestedOf(words: Int32Array, block: number): number {
  return sizeOf(words[block]) * SLOT_BYTES - words[block + SLACK]
}

export class Faults {
  private readonly words: Int32Array
  private readonly seals: Seals
  /** The stacks, if they are recorded. */
  stacks: Stacks | undefined

  constructor(words: Int32Array, seals: Seals) {
    this.words = words
    this.seals = seals
  }

  /** The error for `pointer`, where no used block begins. */
  ofPointer(call: string, pointer: Pointer): Error {
    const words = this.words
    if (pointer === 0) return this.invalid(call, pointer, 'is NULL')
    if (pointer % 8 !== 0)
      return this.invalid(call, pointer, 'is not a multiple of 8, as every pointer is')
    if (pointer < slotOf(words[FIRST_WORD]))
      return this.invalid(call, pointer, "lies in the heap's header or ledger")
    const bytes = words[SIZE_WORD] * 8
    if (pointer >= bytes)
      return this.invalid(call, pointer, `lies outside the heap, which has ${bytes} bytes`)
    if (pointer >= slotOf(words[TOP_WORD])) {
      return pointer < slotOf(words[HIGH_WATER_WORD])
        ? this.doubleFree(call, pointer, 'was freed before and has become wilderness', pointer, 0)
        : this.invalid(call, pointer, 'lies in the wilderness, which was never allocated')
    }
    return this.inside(call, pointer)
  }

  /** The error for a pointer between the first slot and the wilderness. */
  private inside(call: string, pointer: Pointer): Error {
    const { words, seals } = this
    for (const block of walk(words)) {
      const size = sizeOf(words[block])
      if (pointer >= slotOf(block + size)) continue
      const slot = slotOf(block)
      const used = (words[block] & USED) !== 0
      const held = used && seals.holds('quarantined', block)
      if (!used || held) {
        const bytes = held ? requestedOf(words, block) : size * SLOT_BYTES
        const place =
          slot === pointer ? '' : `: it is part of the block at ${slot} (${bytes} bytes)`
        // The caller's block has been merged into a free block that begins elsewhere.
        const meant = held ? slot : pointer
        return this.doubleFree(call, pointer, `is free already${place}`, meant, bytes)
      }
      const bytes = requestedOf(words, block)
      if (slot === pointer) return this.entry(block)
      const inside = `lies inside the block at ${slot} (${bytes} bytes)`
      const why = `${inside}; pass the pointer to its beginning`
      return this.invalid(call, pointer, why, this.block(slot, bytes))
    }
    return corrupt(`no block covers byte ${pointer}`)
  }

  /** The error for a used block whose entry in the ledger disagrees with its seal. */
  entry(block: number): Error {
    return this.damage(
      `the ledger's entry for the block at ${slotOf(block)}, at byte ${block * 4}, was overwritten`,
      this.block(slotOf(block), sizeOf(this.words[block]) * SLOT_BYTES)
    )
  }

  /** The error for a changed byte in the red zone of a used block. */
  overflow(block: number, at: number): Error {
    const bytes = requestedOf(this.words, block)
    const slot = slotOf(block)
    return this.damage(
      `byte ${at} was written, ${at - slot - bytes} bytes past the end of the block at ` +
        `${slot} (${bytes} bytes)`,
      this.block(slot, bytes)
    )
  }

  /** The error for a changed byte just before a used block. */
  underflow(block: number): Error {
    const bytes = requestedOf(this.words, block)
    const slot = slotOf(block)
    return this.damage(
      `byte ${slot - 1} was written, in front of the block at ${slot} (${bytes} bytes) and ` +
        `past the end of what lies there`,
      this.block(slot, bytes)
    )
  }

  /** The error for a changed byte of a block in the quarantine. */
  writeAfterFree(block: number, at: number): Error {
    const bytes = requestedOf(this.words, block)
    const slot = slotOf(block)
    return this.damage(
      `byte ${at} was written after it was freed: it is byte ${at - slot} of the block at ` +
        `${slot} (${bytes} bytes)`,
      this.block(slot, bytes)
    )
  }

  /** The error for a changed byte of free memory, from `begin` to `end`. */
  writeToFree(begin: Pointer, end: Pointer, at: number): Error {
    return this.damage(`byte ${at} was written, in free memory`, this.block(begin, end - begin))
  }

  private block(pointer: Pointer, size: number): FaultyBlock {
    return this.stacks === undefined ? { pointer, size } : this.stacks.describe(pointer, size)
  }

  private damage(what: string, block: FaultyBlock): OffheapError {
    return new OffheapError('ERR_OFFHEAP_CORRUPT', `The heap is corrupt: ${what}`, undefined, block)
  }

  private invalid(call: string, pointer: Pointer, why: string, block?: FaultyBlock): OffheapError {
    return about('ERR_OFFHEAP_INVALID_POINTER', `${call}: the pointer ${pointer} ${why}`, block)
  }

  private doubleFree(
    call: string,
    pointer: Pointer,
    why: string,
    meant: Pointer,
    size: number
  ): OffheapError {
    return about(
      'ERR_OFFHEAP_DOUBLE_FREE',
      `${call}: the block at ${pointer} ${why}`,
      this.block(meant, size)
    )
  }
}

function about(
  code: OffheapErrorCode,
  message: string,
  block: FaultyBlock | undefined
): OffheapError {
  return new OffheapError(code, message, undefined, block)
}
