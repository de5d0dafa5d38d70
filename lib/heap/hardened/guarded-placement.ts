/**
 * A placement policy under guard: before it may take a free block out of its lists, the block must agree with its seal, and
 * both neighbours in the list must name it and agree with theirs (safe unlinking); what the policy changed is sealed anew. So a
 * header, a footer or a link that something wrote over is found when it is used next, and is not followed.
 *
 * Which neighbours a block gets is the policy's to say. They are looked at afterwards: their seals must be right for the links
 * that they had before.
 */
import { NEXT, PREVIOUS, PREVIOUS_USED, sizeOf } from '../../block/block.js'
import { FIRST_WORD } from '../../block/header.js'
import { corrupt } from '../../errors.js'
import type { Placement } from '../../placement/placement.js'
import { slotOf } from './layout.js'
import type { Seals } from './seals.js'

export class GuardedPlacement implements Placement {
  readonly keptWords: number
  private readonly words: Int32Array
  private readonly policy: Placement
  private readonly seals: Seals

  constructor(words: Int32Array, policy: Placement, seals: Seals) {
    this.words = words
    this.keptWords = policy.keptWords
    this.policy = policy
    this.seals = seals
  }

  reset(): void {
    this.policy.reset()
  }

  find(size: number): number {
    const block = this.policy.find(size)
    if (block !== 0) this.verify(block, sizeOf(this.words[block]))
    return block
  }

  remove(block: number, size: number): void {
    const { words } = this
    this.verify(block, size)
    const next = words[block + NEXT]
    const previous = words[block + PREVIOUS]
    this.policy.remove(block, size)
    this.seals.clear(block)
    this.sealLinked(next)
    this.sealLinked(previous)
  }

  replace(from: number, fromSize: number, to: number, toSize: number): void {
    // Let go of and taken in: so each is a change of two neighbours, and no more.
    if (from !== 0) this.remove(from, fromSize)
    this.policy.replace(0, 0, to, toSize)
    const { words, seals } = this
    const next = words[to + NEXT]
    const previous = words[to + PREVIOUS]
    // Each neighbour was sealed when the other one stood where the block stands now.
    this.verifyLinks(next, words[next + NEXT], previous)
    this.verifyLinks(previous, next, words[previous + PREVIOUS])
    this.sealLinked(next)
    this.sealLinked(previous)
    seals.sealFree(to, toSize)
  }

  list(): Iterable<number> {
    return this.policy.list()
  }

  check(): void {
    this.policy.check()
  }

  /** Verifies a free block of `size` words and its links in both directions. Throws ERR_OFFHEAP_CORRUPT. */
  verify(block: number, size: number): void {
    const { words, seals } = this
    const inside = block >= words[FIRST_WORD] && block + size < words.length
    const tagged = words[block] === ((size << 1) | PREVIOUS_USED) && words[block + size - 1] === size
    if (!inside || !tagged || !seals.holds('free', block)) throw overwritten(block)
    const next = words[block + NEXT]
    const previous = words[block + PREVIOUS]
    if (words[next + PREVIOUS] !== block) throw overwritten(next)
    if (words[previous + NEXT] !== block) throw overwritten(previous)
    this.verifyLinks(next, words[next + NEXT], block)
    this.verifyLinks(previous, block, words[previous + PREVIOUS])
  }

  /** Verifies that what stands in a list is a free block that was sealed with these links, or the sentinel of a list. */
  private verifyLinks(block: number, next: number, previous: number): void {
    const { words, seals } = this
    if (block > 0 && block < words[FIRST_WORD]) return
    if (!(block < words.length) || !seals.agrees(block, sizeOf(words[block]), next, previous)) throw overwritten(block)
  }

  private sealLinked(block: number): void {
    if (block >= this.words[FIRST_WORD]) this.seals.sealFree(block, sizeOf(this.words[block]))
  }
}

function overwritten(block: number): Error {
  return corrupt(`what the ledger says of the free block at ${slotOf(block)} was overwritten, at byte ${block * 4}`)
}
