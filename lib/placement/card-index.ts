/**
 * A free list in address order with an index over it, so that neither the place of a block nor the first that is large enough
 * is looked for block by block. The heap is cut into cards of 4 KiB:
 *
 *     cards     │ 0           │ 1           │ 2           │ 3           │ …
 *     FIRST     │ block       │ 0: none     │ block       │ block       │     the first free block that begins in the card
 *     BOUND     │ 12 words    │ 0           │ 40 words    │ 6 words     │     no free block of the card is larger
 *               └──────┬──────┴─ … 16 … ────┴──────┬──────┘
 *     level 1       40 words                    …                              the largest bound of 16 cards,
 *     level 2       …                                                          of 16 times 16, and so on: a tree of maxima
 *
 * Bounds are lazy: taking a block leaves them as they are; a card, or a family of 16 bounds, in which nothing was found gets
 * the right one. Only for a card without free blocks the bound is exact: 0. So a search looks at no more than 32 words on
 * each level, up and down again, and into few cards.
 */
import { MINIMUM_WORDS, NEXT, PREVIOUS, sizeOf } from '../block/block.js'
import { clearList, link, relink, unlink } from '../block/free-list.js'
import { corrupt } from '../errors.js'

/** A card has 2 ** CARD_SHIFT words: 4 KiB. */
const CARD_SHIFT = 10
/** A bound of the tree covers a family of 2 ** FAMILY_SHIFT bounds below it. */
const FAMILY_SHIFT = 4
const FAMILY_MASK = (1 << FAMILY_SHIFT) - 1

/** Where the parts of the index lie, from the word `index` on, in a heap of `words` words. */
function layoutOf(words: number, index: number) {
  const cards = ((words - 1) >>> CARD_SHIFT) + 1
  const levels: number[] = []
  let end = index + cards
  let bounds = cards
  for (;;) {
    levels.push(end)
    end += bounds
    if (bounds === 1) return { cards, levels, end }
    bounds = ((bounds - 1) >>> FAMILY_SHIFT) + 1
  }
}

/** How many words of index a heap of `words` words needs. */
export function cardIndexWords(words: number): number {
  return layoutOf(words, 0).end
}

export class CardIndex {
  protected readonly words: Int32Array
  /** How many cards there are. */
  protected readonly cards: number
  private readonly sentinel: number
  /** Word indexes: of FIRST, of BOUND, which is level 0 of the tree, of each level, and of the end. */
  private readonly first: number
  protected readonly bounds: number
  private readonly levels: readonly number[]
  private readonly end: number

  /** The index in the words from `index` on, over the list of `sentinel`, which lies in front of all blocks. */
  constructor(words: Int32Array, index: number, sentinel: number) {
    const { cards, levels, end } = layoutOf(words.length, index)
    this.words = words
    this.cards = cards
    this.sentinel = sentinel
    this.first = index
    this.bounds = index + cards
    this.levels = levels
    this.end = end
  }

  /** Makes the list empty. */
  reset(): void {
    clearList(this.words, this.sentinel)
    this.words.fill(0, this.first, this.end)
  }

  /** The free block with the lowest address from `from` on; the sentinel when there is none. */
  after(from: number): number {
    const words = this.words
    const card = from >>> CARD_SHIFT
    let block = words[this.first + card]
    if (block === 0) return this.firstFrom(card + 1)
    let previous = 0
    while (block > previous && block < from) {
      previous = block
      block = words[block + NEXT]
    }
    return block
  }

  /** The first free block of the cards from `card` on; the sentinel when they have none. */
  private firstFrom(card: number): number {
    const found = this.nextCard(card, MINIMUM_WORDS)
    return found < this.cards ? this.words[this.first + found] : this.sentinel
  }

  /** Whether there may be a free block of `size` words at all. */
  mayHave(size: number): boolean {
    return this.words[this.end - 1] >= size
  }

  /** Of all free blocks, the first with at least `size` words; 0 when none has. */
  findFirst(size: number): number {
    return this.findInCards(0, size)
  }

  /** Of the free blocks from the free block `start` on, the first with at least `size` words; 0 when none has. */
  findFrom(start: number, size: number): number {
    if (start === this.sentinel) return 0
    const card = start >>> CARD_SHIFT
    const found = this.findBetween(start, (card + 1) << CARD_SHIFT, size)
    return found === 0 ? this.findInCards(card + 1, size) : found
  }

  /** The same from a card on. */
  private findInCards(from: number, size: number): number {
    let card = this.nextCard(from, size)
    while (card < this.cards) {
      const found = this.findInCard(card, size)
      if (found !== 0) return found
      card = this.nextCard(card + 1, size)
    }
    return 0
  }

  /** The same within a card; when none has, the bound of the card is set right. */
  protected findInCard(card: number, size: number): number {
    const words = this.words
    const end = (card + 1) << CARD_SHIFT
    let block = words[this.first + card]
    let previous = 0
    let largest = 0
    while (block > previous && block < end) {
      const have = sizeOf(words[block])
      if (have >= size) return block
      if (have > largest) largest = have
      previous = block
      block = words[block + NEXT]
    }
    words[this.bounds + card] = largest
    return 0
  }

  /** The same from the free block `start` on, up to the word `end`. */
  private findBetween(start: number, end: number, size: number): number {
    const words = this.words
    let block = start
    let previous = 0
    while (block > previous && block < end) {
      if (sizeOf(words[block]) >= size) return block
      previous = block
      block = words[block + NEXT]
    }
    return 0
  }

  /** The first card from `from` on whose bound is at least `size`; the number of cards when there is none. */
  protected nextCard(from: number, size: number): number {
    const words = this.words
    const levels = this.levels
    let level = 0
    let index = from
    for (;;) {
      // The rest of the family; then, a level up, the families behind it.
      const base = levels[level]
      const last = level + 1 < levels.length ? levels[level + 1] : base + 1
      const end = Math.min(base + (index | FAMILY_MASK) + 1, last)
      let at = base + index
      while (at < end && words[at] < size) at++
      index = at - base
      if (at < end) {
        if (level === 0) return index
        level--
        index = this.descend(level, index, size)
      } else {
        level++
        if (level >= levels.length) return this.cards
        index = ((index - 1) >>> FAMILY_SHIFT) + 1
      }
    }
  }

  /**
   * Where to go on at `level`, below a bound of at least `size` one level up: the first member of its family that is as large,
   * or the end of the family, when the bound promised too much; then it is lowered.
   */
  private descend(level: number, parent: number, size: number): number {
    const words = this.words
    const begin = this.levels[level]
    const end = Math.min(((parent + 1) << FAMILY_SHIFT) + begin, this.levels[level + 1])
    let largest = 0
    for (let member = begin + (parent << FAMILY_SHIFT); member < end; member++) {
      if (words[member] >= size) return member - begin
      if (words[member] > largest) largest = words[member]
    }
    words[this.levels[level + 1] + parent] = largest
    return end - begin
  }

  /** Takes in a free block that touches no other. */
  insert(block: number, size: number): void {
    const words = this.words
    const card = block >>> CARD_SHIFT
    const first = words[this.first + card]
    if (first === 0) {
      this.insertAlone(block, card)
    } else if (block < first) {
      words[this.first + card] = block
      link(words, block, words[first + PREVIOUS], first)
    } else {
      let previous = first
      let next = words[first + NEXT]
      while (next > previous && next < block) {
        previous = next
        next = words[next + NEXT]
      }
      link(words, block, previous, next)
    }
    this.raise(card, size)
  }

  /** Links the only free block of a card in front of the next card's first. */
  private insertAlone(block: number, card: number): void {
    const words = this.words
    const next = this.firstFrom(card + 1)
    words[this.first + card] = block
    link(words, block, words[next + PREVIOUS], next)
  }

  /** Lets go of a free block. */
  remove(block: number): void {
    const words = this.words
    const card = block >>> CARD_SHIFT
    if (words[this.first + card] === block) this.removeFirst(card, block)
    unlink(words, block)
  }

  /** The first free block of a card goes. */
  private removeFirst(card: number, block: number): void {
    const words = this.words
    const next = words[block + NEXT]
    if (next > block && next >>> CARD_SHIFT === card) {
      words[this.first + card] = next
    } else {
      words[this.first + card] = 0
      words[this.bounds + card] = 0
    }
  }

  /** The free block `from` becomes the free block `to`, of `toSize` words, with no other between them; 0 for `from`: none did. */
  replace(from: number, _fromSize: number, to: number, toSize: number): void {
    if (from === 0) {
      this.insert(to, toSize)
      return
    }
    const words = this.words
    const card = to >>> CARD_SHIFT
    if (from !== to) {
      if (from >>> CARD_SHIFT !== card) this.moveToCard(from, to, card)
      else if (words[this.first + card] === from) words[this.first + card] = to
      relink(words, from, to)
    }
    this.raise(card, toSize)
  }

  private moveToCard(from: number, to: number, card: number): void {
    const words = this.words
    const old = from >>> CARD_SHIFT
    if (words[this.first + old] === from) this.removeFirst(old, from)
    const first = words[this.first + card]
    if (first === 0 || to < first) words[this.first + card] = to
  }

  /** A card has a free block of `size` words. */
  private raise(card: number, size: number): void {
    if (size > this.words[this.bounds + card]) this.raiseBounds(card, size)
  }

  /** The same, where the bound says less. */
  protected raiseBounds(card: number, size: number): void {
    const words = this.words
    let index = card
    for (const level of this.levels) {
      if (words[level + index] >= size) break
      words[level + index] = size
      index >>>= FAMILY_SHIFT
    }
  }

  /** The free blocks in address order. Throws ERR_OFFHEAP_CORRUPT when they are not. */
  *list(): Iterable<number> {
    const { words, sentinel } = this
    let block = words[sentinel + NEXT]
    while (block !== sentinel) {
      yield block
      const next = words[block + NEXT]
      if (next !== sentinel && !(next > block && next < words.length)) {
        throw corrupt(`the free list goes from the block at byte ${block * 4} to byte ${next * 4}`)
      }
      block = next
    }
  }

  /** Verifies the index. Throws ERR_OFFHEAP_CORRUPT. */
  check(): void {
    this.checkCards()
  }

  /** Verifies cards and bounds against the list. Returns the size of the largest free block of each card that has one. */
  protected checkCards(): Map<number, number> {
    const { words, levels } = this
    const largest = new Map<number, number>()
    for (const block of this.list()) {
      const card = block >>> CARD_SHIFT
      if (!largest.has(card) && words[this.first + card] !== block) throw wrong(card, 'its first free block')
      largest.set(card, Math.max(largest.get(card) ?? 0, sizeOf(words[block])))
    }
    for (let card = 0; card < this.cards; card++) {
      const size = largest.get(card) ?? 0
      if (size === 0 && words[this.first + card] !== 0) throw wrong(card, 'its first free block')
      if (size === 0 && words[this.bounds + card] !== 0) throw wrong(card, 'its largest free block')
      for (const [level, begin] of levels.entries()) {
        if (words[begin + (card >>> (level * FAMILY_SHIFT))] < size) throw wrong(card, 'its largest free block')
      }
    }
    return largest
  }
}

/** What the index says of a card does not agree with the list. */
export function wrong(card: number, about: string): Error {
  return corrupt(`the index is wrong about the memory from byte ${(card << CARD_SHIFT) * 4} on: ${about}`)
}
