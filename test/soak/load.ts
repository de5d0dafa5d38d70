/**
 * A mixed load on one heap, in cycles that are all alike, so that what grows from one cycle to the
 * next grows for no reason of the load. Every block holds a pattern of its own, which is compared
 * before the block is resized or freed.
 */
import type { Heap } from '#lib/index.js'

/** Blocks of one expected lifetime: the rarer a slot is visited, the longer its block lives. */
interface Table {
  readonly slots: number
  /** The number of operations in 100 that visit this table. */
  readonly share: number
  /** Bytes: sizes are drawn up to this, small ones more often. */
  readonly largest: number
}

const TABLES: readonly Table[] = [
  { slots: 2000, share: 60, largest: 600 },
  { slots: 30_000, share: 36, largest: 2000 },
  { slots: 3000, share: 4, largest: 30_000 }
]

/** What the phases of a cycle make of the sizes. */
const PHASES = [1, 0.25, 2, 1]
const OPERATIONS = 40_000
/** Blocks that are freed and allocated while the clock runs. */
const TIMED = 2000

/** What a cycle cost. */
export interface Cost {
  /** Nanoseconds for a call of malloc or free. */
  readonly nanoseconds: number
  /**
   * Nanoseconds for a random memory access, measured right after: the current speed of the machine.
   */
  readonly reference: number
}

interface Block {
  pointer: number
  /** Bytes that were asked for. */
  size: number
  tag: number
  view?: Uint8Array
}

export class Load {
  readonly heap: Heap
  /** Calls of malloc and its kin, realloc and free. */
  operations = 0
  /** Requests that the heap refused. */
  refused = 0
  /** Bytes asked for by all live blocks. */
  payload = 0
  readonly #tables: (Block | undefined)[][]
  #state: number
  #tags = 0

  constructor(heap: Heap, seed: number) {
    this.heap = heap
    this.#state = seed | 0 || 1
    this.#tables = TABLES.map(({ slots }) => Array.from({ length: slots }))
  }

  /** Runs one cycle, and says what it cost. */
  cycle(): Cost {
    for (const scale of PHASES) {
      for (let i = 0; i < OPERATIONS; i++) this.#visit(scale)
    }
    return { nanoseconds: this.#time(), reference: reference() }
  }

  /** Compares all blocks with what was written there. */
  verify(): void {
    for (const block of this.#tables.flat())
      if (block !== undefined) this.#expect(block, block.size)
  }

  /** Gives every block back. */
  clear(): void {
    for (const table of this.#tables) {
      for (const [slot, block] of table.entries()) {
        if (block !== undefined) this.#free(table, slot, block)
      }
    }
  }

  /** A random integer from 0 to below `limit`. */
  #below(limit: number): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return (x >>> 0) % limit
  }

  #visit(scale: number): void {
    const chance = this.#below(100)
    const which = chance < TABLES[0].share ? 0 : chance < 100 - TABLES[2].share ? 1 : 2
    const { slots, largest } = TABLES[which]
    const table = this.#tables[which]
    const slot = this.#below(slots)
    const block = table[slot]
    if (block === undefined) table[slot] = this.#allocate(this.#size(largest * scale))
    else if (this.#below(8) === 0) this.#resize(block, this.#size(largest * scale))
    else this.#free(table, slot, block)
  }

  #size(largest: number): number {
    const most = Math.max(1, Math.floor(largest))
    return (
      Math.min(this.#below(most), this.#below(most), this.#below(most)) +
      (this.#below(50) === 0 ? 0 : 1)
    )
  }

  #allocate(size: number): Block | undefined {
    this.operations++
    const { heap } = this
    const kind = this.#below(16)
    if (kind >= 13) {
      const view = kind === 13 ? heap.alloc(size) : heap.allocBuffer(size)
      return this.#take({ pointer: view.byteOffset, size, tag: 0, view })
    }
    let pointer = 0
    if (kind < 8) pointer = heap.malloc(size)
    else if (kind < 11) {
      pointer = heap.calloc(1, size)
      for (let i = 0; pointer !== 0 && i < size; i++) {
        if (heap.u8[pointer + i] !== 0)
          throw new Error(`byte ${i} of calloc(1, ${size}) is not zero`)
      }
    } else {
      const alignment = 16 << this.#below(6)
      pointer = heap.alignedAlloc(alignment, size)
      if (pointer % alignment !== 0) throw new Error(`${pointer} is no multiple of ${alignment}`)
    }
    if (pointer === 0) {
      this.refused++
      return undefined
    }
    return this.#take({ pointer, size, tag: 0 })
  }

  /** A new block, with a pattern of its own. */
  #take(block: Block): Block {
    this.#tags = (this.#tags + 1) & 0x7fffffff
    block.tag = this.#tags
    this.#fill(block)
    this.payload += block.size
    return block
  }

  #resize(block: Block, size: number): void {
    this.operations++
    this.#expect(block, block.size)
    const pointer = this.heap.realloc(block.pointer, Math.max(1, size))
    if (pointer === 0) {
      this.refused++
      this.#expect(block, block.size)
      return
    }
    block.pointer = pointer
    delete block.view
    this.#expect(block, Math.min(block.size, size))
    this.payload += Math.max(1, size) - block.size
    block.size = Math.max(1, size)
    this.#fill(block)
  }

  #free(table: (Block | undefined)[], slot: number, block: Block): void {
    this.operations++
    this.#expect(block, block.size)
    this.heap.free(block.view ?? block.pointer)
    this.payload -= block.size
    table[slot] = undefined
  }

  /** Frees and allocates small blocks, and nothing else, while it is timed. */
  #time(): number {
    const table = this.#tables[1]
    const slots = Array.from({ length: TIMED }, () => this.#below(table.length))
    const blocks = [...new Set(slots)].flatMap(slot => table[slot] ?? [])
    const sizes = blocks.map(() => this.#size(500))
    for (const block of blocks) this.#expect(block, block.size)
    const { heap } = this
    const begin = process.hrtime.bigint()
    for (let i = 0; i < blocks.length; i++) {
      heap.free(blocks[i].pointer)
      blocks[i].pointer = heap.malloc(sizes[i])
    }
    const nanoseconds = Number(process.hrtime.bigint() - begin)
    for (const [i, block] of blocks.entries()) {
      if (block.pointer === 0) throw new Error('a block that was given back has no place any more')
      this.payload += sizes[i] - block.size
      block.size = sizes[i]
      delete block.view
      this.#fill(block)
    }
    this.operations += 2 * blocks.length
    return nanoseconds / (2 * blocks.length)
  }

  #fill({ pointer, size, tag }: Block): void {
    const { u8 } = this.heap
    for (let i = 0; i < size; i++) u8[pointer + i] = patternOf(tag, i)
  }

  #expect({ pointer, tag }: Block, size: number): void {
    const { u8 } = this.heap
    for (let i = 0; i < size; i++) {
      if (u8[pointer + i] !== patternOf(tag, i))
        throw new Error(`byte ${i} of the block at ${pointer} was overwritten`)
    }
  }
}

/** 4 MiB, about as much as the load goes over. */
const yardstick = Int32Array.from(
  { length: 2 ** 20 },
  (_, i) => Math.imul(i, 0x9e3779b1) ^ (i >>> 7)
)

/** Nanoseconds for one step from a place to the one that it names. */
function reference(): number {
  const steps = 2 * TIMED
  let place = 0
  const begin = process.hrtime.bigint()
  for (let i = 0; i < steps; i++) {
    place = (yardstick[place & 0xfffff] + i) | 0
    yardstick[(place >>> 4) & 0xfffff] ^= i
  }
  return Number(process.hrtime.bigint() - begin) / steps
}

/** The byte at place `i` of the block with a tag. */
function patternOf(tag: number, i: number): number {
  return (tag >>> ((i & 3) * 8)) & 0xff
}
