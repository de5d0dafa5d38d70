/**
 * A guard around a placement policy. Before the policy removes a free block from its lists, the
 * block must agree with its seal, and both neighbours in the list must name it and agree with
 * theirs (safe unlinking). Blocks that the policy changed are sealed again. So an overwritten
 * header, footer or link is detected before it is used.
 *
 * The policy chooses a block's neighbours by its index and its trees, which have no seals. They are
 * verified afterwards: the seals of the neighbours must match the links that they had before,
 * anything else must be the sentinel of a list, and the header of the heap must be unchanged. If an
 * overwritten index misled the policy, it has written one or two links where they don't belong. It
 * can't reach a payload, but the ledger must not be used any more: `broken` is set.
 */
import { corrupt } from '../errors.js'
import { NEXT, PREVIOUS, PREVIOUS_USED, sizeOf } from '../layout/block.js'
import { FIRST_WORD, FREE_LIST, HEADER_WORDS } from '../layout/header.js'
import type { Placement } from '../placement/placement.js'
import { slotOf } from './layout.js'
import type { Seals } from './seals.js'

export class GuardedPlacement implements Placement {
  private readonly words: Int32Array
  private readonly policy: Placement
  private readonly seals: Seals
  /** Where the index of the policy ends. */
  private readonly indexEnd: number
  /** A copy of the heap's header, from before the policy's change. */
  private readonly header = new Int32Array(HEADER_WORDS)
  readonly keptWords: number
  /** Was a change begun that was not completed? */
  broken = false

  constructor(words: Int32Array, policy: Placement, seals: Seals, indexEnd: number) {
    this.words = words
    this.policy = policy
    this.seals = seals
    this.indexEnd = indexEnd
    this.keptWords = policy.keptWords
  }

  reset(): void {
    this.broken = false
    this.policy.reset()
  }

  find(size: number): number {
    const block = this.policy.find(size)
    if (block === 0) return 0
    const have = sizeOf(this.words[block])
    if (have < size) throw overwritten(block)
    this.verify(block, have)
    return block
  }

  remove(block: number, size: number): void {
    this.begin()
    this.take(block, size)
    this.end()
  }

  findNext(block: number, size: number): number {
    return this.policy.findNext(block, size)
  }

  put(block: number, size: number): void {
    this.begin()
    this.add(block, size)
    this.end()
  }

  split(block: number, size: number, rest: number, restSize: number): void {
    this.merge(block, size, rest, restSize)
  }

  /** Removes one block and adds the other, so that each step changes two neighbours only. */
  merge(from: number, fromSize: number, to: number, toSize: number): void {
    this.begin()
    this.take(from, fromSize)
    this.add(to, toSize)
    this.end()
  }

  /** Begins a change. An error before end() leaves the ledger `broken`. */
  private begin(): void {
    const { words, header } = this
    for (let word = 0; word < HEADER_WORDS; word++) header[word] = words[word]
    this.broken = true
  }

  /**
   * Ends a change, which may have changed only the list's links in the header. Throws
   * ERR_OFFHEAP_CORRUPT.
   */
  private end(): void {
    const { words, header } = this
    for (let word = 0; word < HEADER_WORDS; word++) {
      if (
        words[word] === header[word] ||
        word === FREE_LIST + NEXT ||
        word === FREE_LIST + PREVIOUS
      )
        continue
      throw corrupt(`the index of the free blocks led to word ${word} of the header`)
    }
    this.broken = false
  }

  private take(block: number, size: number): void {
    const { words } = this
    this.verifySealed(block, size)
    const next = words[block + NEXT]
    const previous = words[block + PREVIOUS]
    this.policy.remove(block, size)
    this.seals.clear(block)
    this.sealLinked(next)
    this.sealLinked(previous)
  }

  private add(to: number, toSize: number): void {
    if (!this.seals.isClear(to)) throw overwritten(to)
    this.policy.put(to, toSize)
    const { words, seals } = this
    const next = words[to + NEXT]
    const previous = words[to + PREVIOUS]
    // Each neighbour was sealed when it was linked to the other one, before the block was put
    // between them.
    this.verifyLinks(next, words[next + NEXT], previous)
    this.verifyLinks(previous, next, words[previous + PREVIOUS])
    this.sealLinked(next)
    this.sealLinked(previous)
    seals.sealFree(to, toSize)
  }

  *list(): Generator<number, void, undefined> {
    for (const block of this.policy.list()) {
      this.verify(block, sizeOf(this.words[block]))
      yield block
    }
  }

  check(): void {
    this.policy.check()
  }

  /**
   * Verifies a free block of `size` words and its links in both directions. Throws
   * ERR_OFFHEAP_CORRUPT.
   */
  verify(block: number, size: number): void {
    const { words } = this
    const tagged =
      words[block] === ((size << 1) | PREVIOUS_USED) && words[block + size - 1] === size
    if (!tagged) throw overwritten(block)
    this.verifySealed(block, size)
  }

  /**
   * Verifies a free block and its links, but not its header and footer, which a merge may have
   * replaced.
   */
  private verifySealed(block: number, size: number): void {
    const { words, seals } = this
    const inside = block >= words[FIRST_WORD] && block + size < words.length
    if (!inside || !seals.agrees(block, size, words[block + NEXT], words[block + PREVIOUS]))
      throw overwritten(block)
    const next = words[block + NEXT]
    const previous = words[block + PREVIOUS]
    if (words[next + PREVIOUS] !== block) throw overwritten(next)
    if (words[previous + NEXT] !== block) throw overwritten(previous)
    this.verifyLinks(next, words[next + NEXT], block)
    this.verifyLinks(previous, block, words[previous + PREVIOUS])
  }

  /**
   * Verifies that `block` is a free block that was sealed with these links, or the sentinel of a
   * list.
   */
  private verifyLinks(block: number, next: number, previous: number): void {
    const { words, seals } = this
    if (this.isSentinel(block)) return
    if (
      !(block >= words[FIRST_WORD] && block < words.length) ||
      !seals.agrees(block, sizeOf(words[block]), next, previous)
    )
      throw overwritten(block)
  }

  /** Can this be the sentinel of a list? Its links are in the header or in the index. */
  private isSentinel(block: number): boolean {
    return block === FREE_LIST || (block + NEXT >= HEADER_WORDS && block + PREVIOUS < this.indexEnd)
  }

  private sealLinked(block: number): void {
    if (block >= this.words[FIRST_WORD]) this.seals.sealFree(block, sizeOf(this.words[block]))
  }
}

function overwritten(block: number): Error {
  return corrupt(
    `the ledger's entry for the free block at ${slotOf(block)}, at byte ${block * 4}, was ` +
      `overwritten`
  )
}
