/**
 * Interprets the words of a lab's heap. If the allocator has `describe()`: its blocks, headers,
 * footers and free list. Otherwise only what is certain: payloads, former payloads, and the rest,
 * which may be headers, footers, padding or free.
 */

import { type BlockDescription, readDescription } from '../report/heap-description.js'
import { bytesAsText } from './own-picture.js'
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

/** The number of words after the header of a free block that may be links. */
const LINKS = 4

/**
 * @param low the byte offset of the heap
 */
export function pictureOfSubmission(scene: Scene, low: number): HeapPicture {
  return new SubmissionPicture(scene, low)
}

class SubmissionPicture implements HeapPicture {
  readonly parts: Part[] = []
  readonly freeList: readonly number[]
  readonly first: number
  readonly top: number
  readonly end: number
  readonly trouble: string
  readonly summary: string
  readonly #words: Int32Array
  readonly #roles: Uint8Array
  readonly #low: number
  readonly #targets = new Map<number, number>()

  constructor({ words, live, freed, high, description }: Scene, low: number) {
    this.#words = words
    this.#low = low
    this.#roles = new Uint8Array(Math.ceil((high - low) / 4))
    this.first = low
    this.top = high
    this.end = high
    const said = description === undefined ? undefined : readDescription(description, low, high)
    const isSaid = typeof said === 'object'
    this.trouble = typeof said === 'string' ? said : ''
    this.freeList = isSaid ? (said.freeList ?? []) : []
    const sorted = live.toSorted((a, b) => a.pointer - b.pointer)
    if (isSaid) this.summary = summaryOf(this.#describe(said.blocks, sorted))
    else {
      const payload = sorted.reduce((sum, { size }) => sum + size, 0)
      this.summary =
        `payload ${payload} bytes of ${high - low} · with describe() you would see its ` +
        'blocks and lists'
      this.#infer(sorted, freed)
    }
  }

  #add(kind: PartKind, from: number, to: number, name: string, role: Role, variable = -1): void {
    if (to <= from) return
    this.parts.push({ kind, from, to, name, variable })
    this.#mark(from, to, role)
  }

  #mark(from: number, to: number, role: Role): void {
    this.#roles.fill(
      ROLES.indexOf(role),
      Math.max(0, (from - this.#low) >> 2),
      Math.ceil((to - this.#low) / 4)
    )
  }

  // ---- as the allocator says --------------------------------------------------------------------

  #describe(blocks: readonly BlockDescription[], live: readonly LiveBlock[]): BlockFigures {
    const figures: BlockFigures = { used: 0, free: 0, freeBlocks: 0, largestFree: 0 }
    const header = usualHeader(blocks, live)
    let end = this.#low
    for (const block of blocks) {
      const { offset, size, used } = block
      this.#add('unknown', end, offset, 'not in a block', 'unknown')
      end = offset + size
      if (used) {
        figures.used += size
        this.#used(block, header, live)
      } else {
        figures.free += size
        figures.freeBlocks++
        figures.largestFree = Math.max(
          figures.largestFree,
          size - (block.header ?? header) - (block.footer ?? 0)
        )
        this.#free(block, header)
      }
    }
    this.#add('unknown', end, this.end, 'not in a block', 'unknown')
    this.#link()
    return figures
  }

  #used(
    { offset, size, header: own, footer = 0 }: BlockDescription,
    usual: number,
    live: readonly LiveBlock[]
  ): void {
    const inside = live.find(({ pointer }) => pointer >= offset && pointer < offset + size)
    const header = own ?? (inside === undefined ? usual : inside.pointer - offset)
    this.#add(
      'used',
      offset,
      offset + size,
      inside === undefined ? 'used' : '',
      'payload',
      inside?.variable
    )
    if (inside !== undefined)
      this.#mark(inside.pointer + Math.ceil(inside.size / 4) * 4, offset + size - footer, 'slack')
    if (header > 0) this.#mark(offset, offset + header, 'header')
    if (footer > 0) this.#mark(offset + size - footer, offset + size, 'footer')
  }

  #free({ offset, size, header: own, footer = 0 }: BlockDescription, usual: number): void {
    this.#add('free', offset, offset + size, 'free', 'free')
    const header = Math.min(own ?? usual, size)
    if (header > 0) this.#mark(offset, offset + header, 'header')
    if (footer > 0) this.#mark(offset + size - footer, offset + size, 'footer')
  }

  /**
   * Marks the links: words of a free block that equal the offset, or the payload's offset, of a
   * neighbour in the list.
   */
  #link(): void {
    for (const [i, offset] of this.freeList.entries()) {
      const part = this.parts.find(({ kind, from }) => kind === 'free' && from === offset)
      if (part === undefined) continue
      let word = offset >> 2
      while (this.roleOf(word) === 'header') word++
      const header = word * 4 - offset
      const next = this.freeList[i + 1]
      const previous = this.freeList[i - 1]
      const last = Math.min(word + LINKS, part.to >> 2)
      const names = (value: number, goal: number | undefined) =>
        goal !== undefined && (value === goal || value === goal + header)
      for (; word < last; word++) {
        const value = this.#words[word] >>> 0
        const role: Role | undefined = names(value, next)
          ? 'next'
          : names(value, previous)
            ? 'previous'
            : undefined
        if (role === undefined || this.roleOf(word) !== 'free') continue
        this.#mark(word * 4, word * 4 + 4, role)
        this.#targets.set(word, (role === 'next' ? next : previous) ?? -1)
      }
    }
  }

  // ---- what can be known without ----------------------------------------------------------------

  #infer(live: readonly LiveBlock[], freed: Scene['freed']): void {
    let end = this.#low
    for (const { pointer, size, variable } of live) {
      // A defective allocator may have handed out overlapping blocks.
      const from = Math.max(end, pointer)
      this.#between(end, from, freed)
      const to = Math.min(this.end, Math.max(from, pointer + Math.ceil(size / 4) * 4))
      this.#add('used', from, to, '', 'payload', variable)
      end = Math.max(end, to)
    }
    this.#between(end, this.end, freed)
  }

  /** Adds the parts between payloads: former payloads, and memory that never was payload. */
  #between(from: number, to: number, freed: Scene['freed']): void {
    const wasPayload = new Uint8Array(Math.max(0, (to - from) >> 2))
    for (const { pointer, size } of freed) {
      wasPayload.fill(
        1,
        Math.max(0, (pointer - from) >> 2),
        Math.max(0, Math.ceil((pointer + size - from) / 4))
      )
    }
    let at = 0
    while (at < wasPayload.length) {
      const kind = wasPayload[at]
      let next = at
      while (next < wasPayload.length && wasPayload[next] === kind) next++
      if (kind === 1) this.#add('freed', from + at * 4, from + next * 4, 'was payload', 'freed')
      else this.#add('unknown', from + at * 4, from + next * 4, 'not payload', 'unknown')
      at = next
    }
  }

  // ---- words ------------------------------------------------------------------------------------

  roleOf(word: number): Role {
    return ROLES[this.#roles[word - (this.#low >> 2)] ?? 0] ?? 'outside'
  }

  meaningOf(word: number): WordMeaning {
    const value = this.#words[word]
    const role = this.roleOf(word)
    const target = this.#targets.get(word) ?? -1
    if (role === 'next' || role === 'previous') {
      return { role, caption: role === 'next' ? 'next' : 'prev', text: `→ ${value >>> 0}`, target }
    }
    if (role === 'header' || role === 'footer' || role === 'unknown') {
      return { role, caption: role === 'unknown' ? '' : role, text: numberText(value), target }
    }
    const text = bytesAsText(value)
    // If the program's letters are gone, the allocator stored tags or links: show them as numbers.
    const isLeft = role !== 'freed' || value === 0 || text.length <= 4
    const caption = role === 'slack' ? 'slack' : ''
    return { role, caption, text: isLeft ? text : numberText(value), target }
  }

  bitsOf(word: number, value: number): readonly BitField[] {
    const role = this.roleOf(word)
    if (role !== 'header' && role !== 'footer' && role !== 'unknown') {
      return [{ name: 'word', bits: 32, text: `${value >>> 0}` }]
    }
    const flags = value & 7
    return [
      { name: 'bits 31 to 3', bits: 29, text: `${(value >>> 0) - flags}` },
      { name: 'bits 2 to 0', bits: 3, text: `${flags}` }
    ]
  }
}

/** Larger numbers are not block sizes, and leave no room for the flags. */
const LARGEST_SIZE = 99_999

/** Returns the bytes in front of the payload in the first live block. */
function usualHeader(blocks: readonly BlockDescription[], live: readonly LiveBlock[]): number {
  for (const { offset, size } of blocks) {
    const inside = live.find(({ pointer }) => pointer >= offset && pointer < offset + size)
    if (inside !== undefined) return inside.pointer - offset
  }
  return 0
}

/** Formats a word as a size with flags in its low bits, `104 + 1`, if it has such flags. */
function numberText(value: number): string {
  const number = value >>> 0
  const flags = number & 7
  return flags === 0 || flags > 3 || number < 8 || number > LARGEST_SIZE
    ? String(number)
    : `${number - flags} + ${flags}`
}
