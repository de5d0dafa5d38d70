/**
 * The slow model: a heap as a plain array of blocks, written from the specification, without using
 * lib/. Every request looks at every block. It predicts the pointer that each call must return, and
 * the size of every block. It does not store contents (see tape.ts), so that it also works for
 * heaps of gigabytes.
 */

export interface ModelBlock {
  /** Byte offset of the header. */
  offset: number
  /** Bytes, header included. */
  size: number
  used: boolean
  /** Freed, and held in the quarantine (see quarantine-model.ts); `used` is true. */
  quarantined?: boolean
  /**
   * A number that grows, set when the block becomes free or is changed by a split or a merge. 0
   * while it is used.
   */
  since: number
}

export interface FreeBlock {
  readonly offset: number
  readonly size: number
  readonly since: number
}

/** What a policy knows when it chooses. */
export interface Request {
  /** Bytes of the requested block, header included. */
  readonly need: number
  /** Bytes of the wilderness. */
  readonly room: number
  /** All free blocks in address order, including those that are too small. */
  readonly free: readonly FreeBlock[]
}

/**
 * Chooses one of the free blocks that are large enough. `fits` is in address order, and never
 * empty. Returns undefined for a block from the wilderness instead.
 */
export interface Choice {
  (fits: readonly FreeBlock[], request: Request): { offset: number; size: number } | undefined
  /** The order of the free list. Default: by address. */
  readonly order?: (a: FreeBlock, b: FreeBlock) => number
}

export const lowestAddress: Choice = fits =>
  fits.reduce((best, block) => (block.offset < best.offset ? block : best))

/** The sizes of blocks, and where payloads begin, in bytes. */
export interface Rules {
  /** Before the payload, in the block. */
  readonly header: number
  /** What every payload needs in addition. */
  readonly overhead: number
  /** Sizes are multiples of this, and so are pointers. */
  readonly unit: number
  readonly smallest: number
}

const ordinary: Rules = { header: 4, overhead: 4, unit: 8, smallest: 16 }

export class Model {
  /** Blocks in address order, from the first block to `top`. */
  blocks: ModelBlock[] = []
  highWater = 0
  /** Memory from this byte offset on was never written; `end` if that is not known. */
  touched: number
  top: number
  readonly first: number
  readonly end: number
  choose: Choice
  readonly rules: Rules
  #changes = 0

  /** Blocks are between the byte offsets `first` and `end`. */
  constructor(first: number, end: number, choose: Choice = lowestAddress, rules: Rules = ordinary) {
    this.first = first
    this.top = first
    this.end = end
    this.touched = end
    this.choose = choose
    this.rules = rules
  }

  /** Frees all blocks. A policy with state starts again with a new `choose`. */
  reset(choose: Choice): void {
    this.blocks = []
    this.top = this.first
    this.highWater = 0
    this.choose = choose
  }

  /** The largest possible malloc: the largest run of memory without a used block. */
  largestFree(): number {
    let largest = 0
    let run = 0
    for (const block of this.blocks) {
      run = block.used && !block.quarantined ? 0 : run + block.size
      largest = Math.max(largest, run)
    }
    largest = Math.max(largest, run + this.end - this.top)
    return largest >= this.rules.smallest ? largest - this.rules.overhead : 0
  }

  /** A header of 4 bytes, whole multiples of 8, at least 16; or what the rules say. */
  protected blockSize(bytes: number): number {
    const { overhead, unit, smallest } = this.rules
    return Math.max(smallest, Math.ceil((bytes + overhead) / unit) * unit)
  }

  malloc(size: number): number {
    return this.#give(this.place(this.blockSize(size)))
  }

  calloc(count: number, size: number): number {
    return this.malloc(count * size)
  }

  free(pointer: number): void {
    this.at(pointer).used = false
    this.#merge()
  }

  alignedAlloc(alignment: number, size: number): number {
    if (alignment <= this.rules.unit) return this.malloc(size)
    const need = this.blockSize(size)
    const { header, unit, smallest } = this.rules
    const gap = (offset: number): number => {
      let bytes = (alignment - ((offset + header) % alignment)) % alignment
      while (bytes !== 0 && bytes < smallest) bytes += alignment
      return bytes
    }
    // Tries, in this order: the policy's choice of the blocks that fit with any gap, the
    // wilderness, any block that fits.
    const padded = need + alignment + unit
    const chosen = this.chosen(padded)
    let block = chosen === undefined ? undefined : this.#find(chosen.offset)
    if (block !== undefined) {
      this.#take(block, block.size)
    } else if (this.top + gap(this.top) + need <= this.end) {
      block = this.#grow(gap(this.top) + need)
    } else {
      block = this.#listed().find(candidate => candidate.size >= gap(candidate.offset) + need)
      if (block === undefined) return 0
      this.#take(block, block.size)
    }
    const front = gap(block.offset)
    if (front !== 0) {
      const rest = this.#cut(block, front)
      rest.used = true
      block.used = false
      this.#note()
      block = rest
    }
    if (block.size - need >= this.rules.smallest) this.#cut(block, need)
    else this.#lend(block, need)
    this.#merge()
    return block.offset + this.rules.header
  }

  realloc(pointer: number, size: number): number {
    if (pointer === 0) return this.malloc(size)
    if (size === 0) {
      this.free(pointer)
      return 0
    }
    const block = this.at(pointer)
    const need = this.blockSize(size)
    if (need <= block.size) {
      if (block.size - need >= this.rules.smallest) this.#cut(block, need).used = false
      else this.#lend(block, need)
      this.#merge()
      return pointer
    }
    this.beforeGrowth(block, need)
    if (this.#growRight(block, need)) return pointer
    this.beforeMove(block)
    const moved = this.#give(this.place(need))
    if (moved !== 0) {
      this.free(pointer)
      return moved
    }
    // The search for another place may have emptied a quarantine, and made room here.
    if (this.#growRight(block, need)) return pointer
    return 0
  }

  /** A block must grow to `need` bytes. */
  protected beforeGrowth(_block: ModelBlock, _need: number): void {}

  /** A block is about to be replaced by one elsewhere. */
  protected beforeMove(_block: ModelBlock): void {}

  /** Grows a block in place. Returns false if there is too little room after it. */
  #growRight(block: ModelBlock, need: number): boolean {
    const right = this.#right(block)
    if (block.size + this.#free(right) < need) return false
    this.#swallow(block, right, need)
    return true
  }

  #right(block: ModelBlock): ModelBlock | undefined {
    return this.blocks[this.blocks.indexOf(block) + 1]
  }

  /** The bytes available in a right neighbour; undefined is the wilderness. */
  #free(right: ModelBlock | undefined): number {
    return right === undefined ? this.end - this.top : right.used ? 0 : right.size
  }

  /** The used block at a pointer. */
  at(pointer: number): ModelBlock {
    const block = this.#find(pointer - this.rules.header)
    if (block === undefined || !block.used || block.quarantined)
      throw new Error(`the model has no used block at ${pointer}`)
    return block
  }

  /** The bytes that the block at a pointer can hold. */
  usableSize(pointer: number): number {
    return this.at(pointer).size - this.rules.header
  }

  #find(offset: number): ModelBlock | undefined {
    return this.blocks.find(block => block.offset === offset)
  }

  /** Where the policy finds `need` bytes; undefined for the wilderness, or nowhere. */
  protected chosen(need: number): { offset: number } | undefined {
    const free = this.blocks.filter(block => !block.used)
    const fits = free.filter(block => block.size >= need)
    return fits.length === 0
      ? undefined
      : this.choose(fits, { need, room: this.end - this.top, free })
  }

  /**
   * A block for `need` bytes: a free one, split if the remainder is large enough for a block;
   * otherwise a new one from the wilderness.
   */
  protected place(need: number): ModelBlock | undefined {
    const chosen = this.chosen(need)
    if (chosen === undefined) return this.top + need <= this.end ? this.#grow(need) : undefined
    const block = this.#find(chosen.offset)
    if (block !== undefined) this.#take(block, need)
    return block
  }

  /**
   * Makes a free block a used one of `need` bytes, or of all its bytes if the remainder is too
   * small for a block.
   */
  #take(block: ModelBlock, need: number): void {
    block.used = true
    if (block.size - need >= this.rules.smallest) this.#cut(block, need)
    this.#note()
  }

  /** The free blocks in the order of the list. */
  #listed(): ModelBlock[] {
    return this.blocks
      .filter(block => !block.used)
      .sort(this.choose.order ?? ((a, b) => a.offset - b.offset))
  }

  /** Notes which free blocks are new or have changed since the last call. */
  #note(): void {
    for (const block of this.blocks) {
      if (block.used) block.since = 0
      else if (block.since === 0) block.since = ++this.#changes
    }
  }

  #give(block: ModelBlock | undefined): number {
    if (block === undefined) return 0
    block.used = true
    return block.offset + this.rules.header
  }

  #grow(size: number): ModelBlock {
    const block = { offset: this.top, size, used: true, since: 0 }
    this.blocks.push(block)
    this.#setTop(this.top + size)
    return block
  }

  #setTop(top: number): void {
    this.top = top
    this.highWater = Math.max(this.highWater, top - this.first)
    this.touched = Math.max(this.touched, top)
  }

  /**
   * Shortens `block` to `size` bytes. The remainder becomes a free block after it, which is
   * returned.
   */
  #cut(block: ModelBlock, size: number): ModelBlock {
    const offset = block.offset + size
    const rest = { offset, size: block.size - size, used: false, since: 0 }
    block.size = size
    this.blocks.splice(this.blocks.indexOf(block) + 1, 0, rest)
    return rest
  }

  /**
   * Gives the bytes of `block` beyond `need`, too few for a block, to the right neighbour if that
   * is free.
   */
  #lend(block: ModelBlock, need: number): void {
    const rest = block.size - need
    const right = this.blocks[this.blocks.indexOf(block) + 1]
    if (rest === 0 || right?.used) return
    block.size = need
    if (right === undefined) {
      this.top -= rest
    } else {
      right.offset -= rest
      right.size += rest
      right.since = 0
    }
  }

  /**
   * Grows `block` to `need` bytes into the free block `right` or, without one, into the wilderness.
   */
  #swallow(block: ModelBlock, right: ModelBlock | undefined, need: number): void {
    if (right === undefined) {
      this.#setTop(block.offset + need)
      block.size = need
    } else {
      const rest = block.size + right.size - need
      if (rest >= this.rules.smallest) {
        right.offset = block.offset + need
        right.size = rest
        right.since = 0
        block.size = need
      } else {
        block.size += right.size
        this.blocks.splice(this.blocks.indexOf(right), 1)
      }
    }
    this.#note()
  }

  /** Merges adjacent free blocks, and a free block before the wilderness with it. */
  #merge(): void {
    for (let i = 0; i + 1 < this.blocks.length; ) {
      const block = this.blocks[i]
      const right = this.blocks[i + 1]
      if (!block.used && !right.used) {
        block.size += right.size
        block.since = 0
        this.blocks.splice(i + 1, 1)
      } else i++
    }
    const last = this.blocks.at(-1)
    if (last !== undefined && !last.used) {
      this.blocks.pop()
      this.top = last.offset
    }
    this.#note()
  }
}
