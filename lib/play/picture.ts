/**
 * What the words of a heap mean: a heap cut into parts, and a role for each word. The same for
 * every kind of allocator.
 */

/** What a word is for. */
export const ROLES = [
  'outside', // not part of the heap, or not shown
  'meta', // a word of the heap's own header
  'index', // of the placement policy
  'table', // of the slab tables
  'header',
  'next',
  'previous',
  'tree', // a link of a search tree in a free block
  'footer',
  'payload',
  'slack', // of a used block, what was not asked for
  'free', // of a free block, what holds nothing
  'slot', // of a free slot
  'granule', // room for a slab
  'unknown', // of a lab's heap, what is no payload
  'freed', // of a lab's heap, what was payload once
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

/** A stretch of words that belong together. */
export interface Part {
  readonly kind: PartKind
  /** Byte offsets; `to` is behind the last byte. */
  readonly from: number
  readonly to: number
  /** The variable whose block it is; -1 for none. */
  readonly variable: number
  /** In a few words, such as `free` or `heap header`. */
  readonly name: string
}

/** A word in words. */
export interface WordMeaning {
  readonly role: Role
  /** What the word is, such as `header`, `next`, `TOP`. */
  readonly caption: string
  /** What it says, such as `104`, `→ 492`. */
  readonly text: string
  /** The byte offset that the word leads to; -1 for none. */
  readonly target: number
  /** Of a block header, its two flags. */
  readonly flags?: { readonly previousUsed: boolean; readonly used: boolean }
}

/** How the 32 bits of a word are divided: from the highest down, each with its width. */
export interface BitField {
  readonly name: string
  readonly bits: number
  /** What the field says in this word. */
  readonly text: string
}

export interface HeapPicture {
  readonly parts: readonly Part[]
  /** The byte offsets of the free blocks, in the order of the lists. */
  readonly freeList: readonly number[]
  /** Where blocks begin, and where the wilderness does. */
  readonly first: number
  readonly top: number
  /** Where the heap ends. */
  readonly end: number
  /** The heap in figures, in a line. */
  readonly summary: string
  /**
   * What is not as it should be at the moment, such as a free list that leads nowhere; empty when
   * all is well.
   */
  readonly trouble: string
  roleOf(word: number): Role
  meaningOf(word: number): WordMeaning
  bitsOf(word: number, value: number): readonly BitField[]
}

/** The part that a byte lies in; undefined when there is none. */
export function partAt({ parts }: Pick<HeapPicture, 'parts'>, at: number): Part | undefined {
  return parts.find(({ from, to }) => at >= from && at < to)
}

/** Figures of the blocks of a heap; all in bytes but for the count. */
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
