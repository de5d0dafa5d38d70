/**
 * The loop that is timed, once for numbers and once for objects, and the check beforehand that a contender
 * does its work.
 */
import { type Allocator, PAGE_BYTES, type PointerAllocator, type ViewAllocator, type Work } from './work.js'

/** Replaces blocks, one after the other. */
export interface Loop {
  /** Replaces `count` blocks. */
  run(count: number): void
}

/** The slots in an order that has nothing to do with addresses; the same on every machine. */
export function shuffled(length: number): Int32Array {
  const order = Int32Array.from({ length }, (_, i) => i)
  let state = 1
  for (let i = length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const other = Math.floor((state / 2 ** 32) * (i + 1))
    const slot = order[i]
    order[i] = order[other]
    order[other] = slot
  }
  return order
}

function pointerLoop({ allocate, release, memory }: PointerAllocator, { size, live }: Work): Loop {
  const order = shuffled(live)
  const blocks = Int32Array.from({ length: live }, () => allocate(size))
  let at = 0
  return {
    run(count) {
      for (let i = 0; i < count; i++) {
        const slot = order[at]
        at = at + 1 === live ? 0 : at + 1
        release(blocks[slot])
        const block = allocate(size)
        for (let byte = 0; byte < size; byte += PAGE_BYTES) memory[block + byte] = 1
        blocks[slot] = block
      }
    }
  }
}

function viewLoop({ allocate, release }: ViewAllocator, { size, live }: Work): Loop {
  const order = shuffled(live)
  const blocks = Array.from({ length: live }, () => allocate(size))
  let at = 0
  return {
    run(count) {
      for (let i = 0; i < count; i++) {
        const slot = order[at]
        at = at + 1 === live ? 0 : at + 1
        release(blocks[slot])
        const block = allocate(size)
        for (let byte = 0; byte < size; byte += PAGE_BYTES) block[byte] = 1
        blocks[slot] = block
      }
    }
  }
}

/** Allocates the blocks that are alive, and makes the loop that replaces them. */
export function loopOf(allocator: Allocator, work: Work): Loop {
  return allocator.kind === 'pointer' ? pointerLoop(allocator, work) : viewLoop(allocator, work)
}

/** As many blocks are checked at once. */
const CHECKED = 16

function check<Block>(
  { allocate, release }: { allocate(size: number): Block; release(block: Block): void },
  bytesOf: (block: Block) => Uint8Array,
  { size, cleared }: Work
): void {
  // The second time, the memory has been used before.
  for (let time = 0; time < 2; time++) {
    const blocks = Array.from({ length: CHECKED }, () => allocate(size))
    for (const [i, block] of blocks.entries()) {
      const bytes = bytesOf(block)
      if (bytes.length !== size) throw new Error(`a block of ${size} bytes has ${bytes.length}`)
      if (cleared && bytes.some(byte => byte !== 0)) throw new Error('the bytes of a block are not zero')
      bytes.fill(i + 1)
    }
    for (const [i, block] of blocks.entries()) {
      if (bytesOf(block).some(byte => byte !== i + 1)) throw new Error('a block was overwritten by another')
      release(block)
    }
  }
}

/** Throws an Error that says what a contender does wrong: a block too short, not cleared, shared with another. */
export function verify(allocator: Allocator, work: Work): void {
  if (allocator.kind === 'view') check(allocator, block => block, work)
  else {
    const { memory } = allocator
    check(allocator, block => memory.subarray(block, block === 0 ? 0 : block + work.size), work)
  }
}
