/** The timed loop, once for numbers and once for objects, and a check that a contender works. */
import {
  type Allocator,
  PAGE_BYTES,
  type PointerAllocator,
  type ViewAllocator,
  type Work
} from './work.js'

/** A loop that replaces one block after another. */
export interface Loop {
  /** Replaces `count` blocks. */
  run(count: number): void
}

/** Indexes in an order that is unrelated to addresses, and the same on every machine. */
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

/** Allocates the live blocks, and returns the loop that replaces them. */
export function loopOf(allocator: Allocator, work: Work): Loop {
  return allocator.kind === 'pointer' ? pointerLoop(allocator, work) : viewLoop(allocator, work)
}

/** The number of blocks to check at once. */
const CHECKED = 16

function check<Block>(
  { allocate, release }: { allocate(size: number): Block; release(block: Block): void },
  bytesOf: (block: Block) => Uint8Array,
  { size, cleared }: Work
): void {
  // The second time, the memory was used before.
  for (let time = 0; time < 2; time++) {
    const blocks = Array.from({ length: CHECKED }, () => allocate(size))
    for (const [i, block] of blocks.entries()) {
      const bytes = bytesOf(block)
      if (bytes.length !== size) throw new Error(`a block of ${size} bytes has ${bytes.length}`)
      if (cleared && bytes.some(byte => byte !== 0))
        throw new Error('the bytes of a block are not zero')
      bytes.fill(i + 1)
    }
    for (const [i, block] of blocks.entries()) {
      if (bytesOf(block).some(byte => byte !== i + 1))
        throw new Error('a block was overwritten by another')
      release(block)
    }
  }
}

/** Throws an Error if a contender fails: a block is too short, not cleared, or overlaps another. */
export function verify(allocator: Allocator, work: Work): void {
  if (allocator.kind === 'view') check(allocator, block => block, work)
  else {
    const { memory } = allocator
    check(allocator, block => memory.subarray(block, block === 0 ? 0 : block + work.size), work)
  }
}
