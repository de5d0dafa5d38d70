/**
 * Checks a whole replay afterwards, from its recorded results: where its blocks were placed,
 * whether they overlapped, and whether the stamps in their payloads survived. It detects what a
 * verifier of single operations would.
 */

import { CALLOC, FREE, NULL_ID, REALLOC } from '../../trace/trace.js'
import { CALLOCS, type Channel } from '../submission/channel.js'
import { STAMPED } from '../submission/replay.js'
import type { Variant } from './salt.js'

const GRANULE = 8

export interface Misplaced {
  /** The operation of the variant. */
  readonly operation: number
  readonly what: string
}

export interface Placement {
  readonly misplaced?: Misplaced
  /** The most payload bytes in use at one time. */
  readonly peak: number
}

/**
 * @param bounds the bounds of the heap at the end, and the alignment, in bytes
 */
export function placementOf(
  variant: Variant,
  { results, stamps, words }: Pick<Channel, 'results' | 'stamps' | 'words'>,
  bounds: { readonly low: number; readonly high: number; readonly alignment: number }
): Placement {
  const { kinds, idOf, payloads, ids, length } = variant
  const { low, high, alignment } = bounds
  const used = new Granules(Math.ceil(high / GRANULE) + 1)
  const pointers = new Int32Array(ids)
  const sizes = new Int32Array(ids)
  const births = new Int32Array(ids).fill(-1)
  let payload = 0
  let peak = 0
  const end = (pointer: number, bytes: number) =>
    Math.ceil((pointer + Math.max(bytes, 1)) / GRANULE)
  for (let i = 0; i < length; i++) {
    const id = idOf[i]
    const kind = kinds[i]
    const no = (what: string): Placement => ({ misplaced: { operation: i, what }, peak })
    if (kind === FREE && id === NULL_ID) continue
    const old = pointers[id]
    const moves = kind === REALLOC && old !== 0
    const kept = moves ? Math.min(sizes[id], payloads[i]) : sizes[id]
    if (old !== 0 && kept >= STAMPED && births[id] >= 0 && stamps[i] !== births[id]) {
      return no(
        moves ? 'realloc lost what the block held' : 'the payload had changed when it was freed'
      )
    }
    if (old !== 0) {
      used.remove(old / GRANULE, end(old, sizes[id]))
      payload -= sizes[id]
      pointers[id] = 0
    }
    if (kind === FREE) continue
    const pointer = results[i]
    const bytes = payloads[i]
    const name = kind === REALLOC ? 'realloc' : 'malloc'
    if (pointer === 0 && bytes === 0) continue
    if (pointer === 0) return no(`${name} returned 0 (NULL) for ${bytes} bytes`)
    if (pointer % alignment !== 0)
      return no(`${name} returned ${pointer}, which is not a multiple of ${alignment}`)
    if (pointer < low || pointer + bytes > high)
      return no(`${name} returned ${pointer}, which lies outside the heap`)
    const isCleared = kind === CALLOC && words[CALLOCS] === 1
    if (isCleared && bytes >= STAMPED && stamps[i] !== 0)
      return no('calloc did not clear the block')
    const last = end(pointer, bytes)
    if (used.hasAny(pointer / GRANULE, last))
      return no(`${name} returned ${pointer}, inside a block that is in use`)
    used.add(pointer / GRANULE, last)
    pointers[id] = pointer
    sizes[id] = bytes
    if (!moves || kept < STAMPED) births[id] = moves || isCleared ? -2 : i
    payload += bytes
    if (payload > peak) peak = payload
  }
  return { peak }
}

/** A set of granules, as a bit set. */
class Granules {
  readonly #words: Int32Array

  constructor(length: number) {
    this.#words = new Int32Array((length >> 5) + 1)
  }

  hasAny(from: number, to: number): boolean {
    const [first, last] = [from >> 5, to >> 5]
    if (first === last) return (this.#words[first] & bitsFrom(from) & ~bitsFrom(to)) !== 0
    if ((this.#words[first] & bitsFrom(from)) !== 0) return true
    for (let i = first + 1; i < last; i++) if (this.#words[i] !== 0) return true
    return (this.#words[last] & ~bitsFrom(to)) !== 0
  }

  add(from: number, to: number): void {
    const [first, last] = [from >> 5, to >> 5]
    if (first === last) this.#words[first] |= bitsFrom(from) & ~bitsFrom(to)
    else {
      this.#words[first] |= bitsFrom(from)
      this.#words.fill(-1, first + 1, last)
      this.#words[last] |= ~bitsFrom(to)
    }
  }

  remove(from: number, to: number): void {
    const [first, last] = [from >> 5, to >> 5]
    if (first === last) this.#words[first] &= ~bitsFrom(from) | bitsFrom(to)
    else {
      this.#words[first] &= ~bitsFrom(from)
      this.#words.fill(0, first + 1, last)
      this.#words[last] &= bitsFrom(to)
    }
  }
}

/** The bits of a word from the one of this granule on. */
function bitsFrom(granule: number): number {
  return -1 << (granule & 31)
}
