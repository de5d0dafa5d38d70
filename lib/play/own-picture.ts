/**
 * Interprets the words of a heap of this package, from its bytes alone. This works even in the
 * middle of a call: the engine orders its stores so that the blocks can be walked after each store.
 */

import {
  headerOf,
  MINIMUM_WORDS,
  NEXT,
  PREVIOUS,
  PREVIOUS_USED,
  pointerOf,
  sizeOf,
  USED
} from '../layout/block.js'
import * as heap from '../layout/header.js'
import {
  CLASS_MASK,
  chunkGranules,
  FREE,
  GRANULE_BYTES,
  GRANULE_WORDS,
  INFO,
  KIND_MASK,
  mayBeChunk,
  SLOT_BYTES,
  STARTS,
  slabLayout,
  UNIT_BYTES,
  UNITS
} from '../layout/slab.js'
import { policyNumbered } from '../placement/policies.js'
import {
  type BitField,
  type BlockFigures,
  type HeapPicture,
  type Part,
  type PartKind,
  ROLES,
  type Role,
  summaryOf,
  type WordMeaning
} from './picture.js'
import type { LiveBlock, Scene } from './player.js'

/**
 * The names of the words of the heap's header. Positions are shown as byte offsets, and amounts in
 * bytes.
 */
const HEADER_NAMES = new Map<
  number,
  readonly [name: string, unit: 'bytes' | 'units' | 'number' | 'hex' | 'link']
>([
  [heap.MAGIC_WORD, ['MAGIC', 'hex']],
  [heap.VERSION_WORD, ['VERSION', 'number']],
  [heap.SIZE_WORD, ['SIZE', 'units']],
  [heap.PLACEMENT_WORD, ['PLACEMENT', 'number']],
  [heap.FIRST_WORD, ['FIRST', 'bytes']],
  [heap.TOP_WORD, ['TOP', 'bytes']],
  [heap.TOUCHED_WORD, ['TOUCHED', 'bytes']],
  [heap.HIGH_WATER_WORD, ['HIGH WATER', 'bytes']],
  [heap.USED_WORD, ['USED', 'bytes']],
  [heap.PEAK_USED_WORD, ['PEAK USED', 'bytes']],
  [heap.BLOCKS_WORD, ['BLOCKS', 'number']],
  [heap.ROOT_WORD, ['ROOT', 'bytes']],
  [heap.OPTIONS_WORD, ['OPTIONS', 'number']],
  [heap.FREE_LIST + NEXT, ['LIST next', 'link']],
  [heap.FREE_LIST + PREVIOUS, ['LIST prev', 'link']],
  [heap.TRIM_THRESHOLD_WORD, ['TRIM', 'bytes']],
  [heap.FREED_WORD, ['FREED', 'bytes']],
  [heap.MOVE_FROM_WORD, ['MOVE FROM', 'bytes']],
  [heap.MOVE_TO_WORD, ['MOVE TO', 'bytes']],
  [heap.PENDING_WORD, ['PENDING', 'number']]
])
/** The words of a free block after `previous` that hold the tree of best fit. */
const TREE = { left: 3, right: 4, smallest: 6 }

export function pictureOfOwn({ words, live }: Scene): HeapPicture {
  return new OwnPicture(words, live)
}

class OwnPicture implements HeapPicture {
  readonly parts: Part[] = []
  readonly freeList: number[] = []
  readonly first: number
  readonly top: number
  readonly end: number
  readonly figures: BlockFigures
  trouble = ''
  readonly #words: Int32Array
  readonly #roles: Uint8Array
  readonly #live: ReadonlyMap<number, LiveBlock>
  readonly #hasTrees: boolean
  readonly #slabs: {
    readonly descriptors: number
    readonly state: number
    readonly end: number
    readonly granules: number
  }

  constructor(words: Int32Array, live: readonly LiveBlock[]) {
    this.#words = words
    this.#roles = new Uint8Array(words.length)
    this.#live = new Map(live.map(block => [block.pointer, block]))
    const policy = policyNumbered(words[heap.PLACEMENT_WORD])
    const granules = words[heap.OPTIONS_WORD] === heap.WITH_SLABS ? chunkGranules(words.length) : 0
    const index = heap.HEADER_WORDS + (policy?.indexWords(words.length) ?? 0)
    const { state, descriptors, end } = slabLayout(words.length, index)
    this.#slabs = { state, descriptors, end: granules === 0 ? index : end, granules }
    this.#hasTrees = policy?.name === 'best-fit'
    this.first = words[heap.FIRST_WORD] * 4
    this.top = words[heap.TOP_WORD] * 4
    this.end = words.length * 4
    this.figures = { used: 0, free: 0, freeBlocks: 0, largestFree: 0 }
    this.#part('header', 0, heap.HEADER_WORDS, 'heap header', 'meta')
    this.#part(
      'index',
      heap.HEADER_WORDS,
      index,
      `index of ${policy?.name ?? 'the placement'}`,
      'index'
    )
    if (granules > 0) this.#part('tables', index, words[heap.FIRST_WORD], 'slab tables', 'table')
    this.#walk()
    this.#part('wilderness', words[heap.TOP_WORD], words.length, 'wilderness', 'wilderness')
    this.figures.free += this.end - this.top
    this.figures.largestFree = Math.max(this.figures.largestFree, this.end - this.top - 4)
    this.#followList(policy?.open(words).list() ?? [])
  }

  #part(kind: PartKind, from: number, to: number, name: string, role: Role, variable = -1): void {
    if (to <= from) return
    this.parts.push({ kind, from: from * 4, to: to * 4, name, variable })
    this.#mark(from, to, role)
  }

  #mark(from: number, to: number, role: Role): void {
    this.#roles.fill(ROLES.indexOf(role), from, to)
  }

  #walk(): void {
    const words = this.#words
    const top = words[heap.TOP_WORD]
    let block = words[heap.FIRST_WORD]
    while (block < top) {
      const header = words[block]
      // While the last block grows, its header changes first: until TOP follows, it ends at TOP.
      const size = (header & USED) === 0 ? sizeOf(header) : Math.min(sizeOf(header), top - block)
      if (size < MINIMUM_WORDS || block + size > top) {
        this.trouble = `The header of the block at byte ${block * 4} has no valid size`
        this.#part('unknown', block, top, 'unreadable', 'unknown')
        return
      }
      if (this.#isChunk(block)) this.#chunk(block)
      else if ((header & USED) !== 0) this.#used(block, size)
      else this.#free(block, size)
      block += size
    }
  }

  #used(block: number, size: number): void {
    const { figures } = this
    const live = this.#live.get(pointerOf(block))
    this.#part(
      'used',
      block,
      block + size,
      live === undefined ? 'used' : '',
      'payload',
      live?.variable
    )
    this.#mark(block, block + 1, 'header')
    if (live !== undefined) this.#mark(block + 1 + Math.ceil(live.size / 4), block + size, 'slack')
    figures.used += size * 4
  }

  #free(block: number, size: number): void {
    const { figures } = this
    this.#part('free', block, block + size, 'free', 'free')
    const roles: Role[] = ['header', 'next', 'previous']
    if (this.#hasTrees && size >= TREE.smallest) roles.push('tree', 'tree')
    for (const [i, role] of roles.entries()) this.#mark(block + i, block + i + 1, role)
    this.#mark(block + size - 1, block + size, 'footer')
    figures.free += size * 4
    figures.freeBlocks++
    figures.largestFree = Math.max(figures.largestFree, size * 4 - 4)
  }

  #isChunk(block: number): boolean {
    const { granules, descriptors } = this.#slabs
    const words = this.#words
    if (granules === 0 || !mayBeChunk(words[block], block, granules * GRANULE_WORDS)) return false
    return words[descriptors + 2 * ((block + 1) / GRANULE_WORDS) + INFO] !== 0
  }

  #chunk(block: number): void {
    const words = this.#words
    const { granules, descriptors } = this.#slabs
    this.#part('chunk', block, block + 1, 'chunk', 'header')
    const firstGranule = (block + 1) / GRANULE_WORDS
    for (let granule = firstGranule; granule < firstGranule + granules; granule++) {
      const from = granule * GRANULE_WORDS
      // The last granule ends before the header of the next block.
      const to =
        granule === firstGranule + granules - 1 ? from + GRANULE_WORDS - 1 : from + GRANULE_WORDS
      const info = words[descriptors + 2 * granule + INFO]
      if (info === FREE || info === 0) this.#part('granule', from, to, 'room for a slab', 'granule')
      else this.#slab(from, to, info, words[descriptors + 2 * granule])
    }
  }

  #slab(from: number, to: number, info: number, used: number): void {
    const { figures } = this
    const slot = (SLOT_BYTES[info & CLASS_MASK] ?? 0) / 4
    let end = from
    for (let unit = 0; unit < UNITS; unit++) {
      const bit = 0x80000000 >>> unit
      if ((STARTS[info & KIND_MASK] & bit) === 0) continue
      const at = from + (unit * UNIT_BYTES) / 4
      end = at + slot
      const live = this.#live.get(at * 4)
      if ((used & bit) === 0) {
        this.#part('free-slot', at, end, `free slot of ${slot * 4}`, 'slot')
        figures.free += slot * 4
      } else {
        this.#part(
          'slot',
          at,
          end,
          live === undefined ? `slot of ${slot * 4}` : '',
          'payload',
          live?.variable
        )
        if (live !== undefined) this.#mark(at + Math.ceil(live.size / 4), end, 'slack')
        figures.used += slot * 4
      }
    }
    this.#part('rest', end, to, 'rest of the slab', 'slack')
  }

  /** Follows the free list as far as possible: in the middle of a call it may be broken. */
  #followList(blocks: Iterable<number>): void {
    try {
      for (const block of blocks) this.freeList.push(block * 4)
    } catch {
      // Show the blocks reached so far. Later stores of the call complete the list.
    }
  }

  get summary(): string {
    return summaryOf(this.figures)
  }

  roleOf(word: number): Role {
    return ROLES[this.#roles[word]] ?? 'outside'
  }

  meaningOf(word: number): WordMeaning {
    const value = this.#words[word]
    const role = this.roleOf(word)
    const plain = { role, target: -1 }
    switch (role) {
      case 'meta':
        return this.#headerWord(word, value)
      case 'header':
        return {
          ...plain,
          caption: 'header',
          text: String(sizeOf(value) * 4),
          flags: { previousUsed: (value & PREVIOUS_USED) !== 0, used: (value & USED) !== 0 }
        }
      case 'next':
      case 'previous':
        return { ...this.#link(value), role, caption: role === 'next' ? 'next' : 'prev' }
      case 'tree': {
        const isLeft = this.roleOf(word - 1) === 'previous'
        const child =
          value === 0
            ? { text: 'none', target: -1 }
            : { text: `→ ${(value | 1) * 4}`, target: (value | 1) * 4 }
        return { ...child, role, caption: isLeft ? 'left' : 'right' }
      }
      case 'footer':
        return { ...plain, caption: 'footer', text: String(value * 4) }
      case 'table':
        return { ...plain, caption: this.#tableName(word), text: hex(value) }
      case 'index':
        return { ...plain, caption: 'index', text: shortNumber(value) }
      case 'payload':
        return { ...plain, caption: '', text: bytesAsText(value) }
      case 'slack':
        return { ...plain, caption: 'slack', text: bytesAsText(value) }
      default:
        return { ...plain, caption: '', text: bytesAsText(value) }
    }
  }

  #headerWord(word: number, value: number): WordMeaning {
    const [caption, unit] = HEADER_NAMES.get(word) ?? ['', 'number']
    if (unit === 'link') return { ...this.#link(value), role: 'meta', caption }
    const text =
      unit === 'hex'
        ? hex(value)
        : unit === 'units'
          ? String(value * 8)
          : unit === 'bytes'
            ? String(value * 4)
            : String(value)
    return { role: 'meta', caption, text, target: -1 }
  }

  /**
   * A link of the free list: to a block or to the head of a list. Any other value means that the
   * link is not written yet.
   */
  #link(value: number): { text: string; target: number } {
    const at = value * 4
    if (value > 0 && at < this.first) return { text: 'head', target: -1 }
    if (at >= this.first && at < this.top && value % 2 === 1) return { text: `→ ${at}`, target: at }
    return { text: bytesAsText(value), target: -1 }
  }

  #tableName(word: number): string {
    const { descriptors, state, end } = this.#slabs
    if (word < state + 96) return 'state'
    if (word < descriptors) return 'chunks'
    if (word >= end) return ''
    const granule = (word - descriptors) >> 1
    return (word - descriptors) % 2 === 0 ? `used ${granule * GRANULE_BYTES}` : 'info'
  }

  bitsOf(word: number, value: number): readonly BitField[] {
    const role = this.roleOf(word)
    if (role === 'header') {
      const size = sizeOf(value)
      const flags = value & (PREVIOUS_USED | USED)
      const isExact = headerOf(size, flags) === value
      return [
        { name: 'size / 8', bits: 30, text: isExact ? `${size / 2} × 8 = ${size * 4}` : 'no size' },
        { name: 'P', bits: 1, text: (flags & PREVIOUS_USED) !== 0 ? '1' : '0' },
        { name: 'U', bits: 1, text: (flags & USED) !== 0 ? '1' : '0' }
      ]
    }
    if (role === 'footer')
      return [{ name: 'size / 4', bits: 32, text: `${value} × 4 = ${value * 4}` }]
    if (role === 'next' || role === 'previous')
      return [{ name: 'word index', bits: 32, text: this.#link(value).text }]
    return [{ name: 'word', bits: 32, text: `${value}` }]
  }
}

export function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}

function shortNumber(value: number): string {
  return value >= -999 && value <= 99_999 ? String(value) : hex(value)
}

/**
 * Formats four bytes as in a dump: as text such as `aaaa` if printable, otherwise as hexadecimal
 * digits, and `·` for zero.
 */
export function bytesAsText(value: number): string {
  if (value === 0) return '·'
  const bytes = [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24]
  if (bytes.every(byte => byte >= 0x20 && byte < 0x7f)) return String.fromCharCode(...bytes)
  return bytes.map(byte => byte.toString(16).padStart(2, '0')).join('')
}
