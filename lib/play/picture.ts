/** The picture of a heap, for every kind of allocator: its parts, and the role of each word. */

/** The roles of words. */
export const ROLES = [
  'outside', // outside the heap, or not shown
  'meta', // a word of the heap's own header
  'index', // of the placement policy
  'table', // of the slab tables
  'header',
  'next',
  'previous',
  'tree', // a link of a search tree in a free block
  'footer',
  'payload',
  'slack', // part of a used block beyond the request
  'free', // unused part of a free block
  'slot', // a free slot
  'granule', // room for a slab
  'unknown', // not payload, in a lab's heap
  'freed', // former payload, in a lab's heap
  'wilderness'
] as const
export type Role = (typeof ROLES)[number]

export type PartKind =
  | 'header'
  | 'index'
  | 'tables'
  | 'used'
  | 'free'
  | 'slot'
  | 'free-slot'
  | 'granule'
  | 'chunk'
  | 'rest'
  | 'unknown'
  | 'freed'
  | 'wilderness'

/** A range of words that belong together. */
export interface Part {
  readonly kind: PartKind
  /** Byte offsets; `to` is the end, exclusive. */
  readonly from: number
  readonly to: number
  /** The variable whose block this is; -1 for none. */
  readonly variable: number
  /** A short name, such as `free` or `heap header`. */
  readonly name: string
}

/** The meaning of one word. */
export interface WordMeaning {
  readonly role: Role
  /** What the word is: `header`, `next`, `TOP`. */
  readonly caption: string
  /** Its value in readable form: `104`, `→ 492`. */
  readonly text: string
  /** The byte offset that the word points to; -1 for none. */
  readonly target: number
  /** The two flags of a block header. */
  readonly flags?: { readonly previousUsed: boolean; readonly used: boolean }
}

/** A field of the 32 bits of a word. Fields are listed from the highest bit down. */
export interface BitField {
  readonly name: string
  readonly bits: number
  /** The value of the field in this word. */
  readonly text: string
}

export interface HeapPicture {
  readonly parts: readonly Part[]
  /** The byte offsets of the free blocks, in list order. */
  readonly freeList: readonly number[]
  /** The byte offsets of the first block and of the wilderness. */
  readonly first: number
  readonly top: number
  /** The end of the heap, as a byte offset. */
  readonly end: number
  /** One line of figures about the heap. */
  readonly summary: string
  /**
   * What is wrong at the moment, such as a free list that leads out of the heap; empty if nothing
   * is.
   */
  readonly trouble: string
  roleOf(word: number): Role
  meaningOf(word: number): WordMeaning
  bitsOf(word: number, value: number): readonly BitField[]
}

/** Returns the part that contains a byte; undefined if there is none. */
export function partAt({ parts }: Pick<HeapPicture, 'parts'>, at: number): Part | undefined {
  return parts.find(({ from, to }) => at >= from && at < to)
}

/** Figures about the blocks of a heap: bytes, except for the count. */
export interface BlockFigures {
  used: number
  free: number
  freeBlocks: number
  largestFree: number
}

export function summaryOf({ used, free, freeBlocks, largestFree }: BlockFigures): string {
  const between = `${freeBlocks} free ${freeBlocks === 1 ? 'block' : 'blocks'} between`
  return `used ${used} bytes · free ${free} · ${between} · largest request that fits ${largestFree}`
}
