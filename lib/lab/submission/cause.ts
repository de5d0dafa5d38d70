/**
 * Finds the cause of a defect in the history of all writes: what the allocator did wrong, usually
 * in an earlier operation than the one in which the defect shows. Supports the layouts of the
 * handout only: a header in front of the payload whose low three bits are flags, a footer with the
 * same size, and links that are byte offsets or word indexes.
 */

import { REALLOC } from '../../trace/trace.js'
import { type History, whenOf } from './history.js'
import type { Verifier } from './verify.js'

export interface Read {
  readonly at: number
  /** The value read. */
  readonly value: number
}

/** What a watched run recorded in the operation in which the defect showed. */
export interface Evidence {
  readonly verifier: Verifier
  readonly history: History
  /** The number of writes before this operation. */
  readonly opening: number
  /** The words that it read, the newest first. */
  readonly reads: readonly Read[]
  /** The last addresses that it accessed. */
  readonly recent: readonly number[]
  /** The ranges that it copied from, and the number of writes before each copy. */
  readonly copies: readonly { readonly from: number; readonly to: number; readonly index: number }[]
  /**
   * Where it read another block's payload as a tag or link, and the access that stopped it; -1 for
   * none.
   */
  readonly trespass: number
  readonly bad: number
  /** The value that it was about to write at `bad`. */
  readonly badValue: number
  readonly kind: string
}

/** Describes a write, given by its index. */
export type Namer = (write: number) => string

/**
 * Kinds of defects that need no further cause: the first list always, the second one unless the
 * operation read another block's payload.
 */
const SAID = ['check', 'calloc', 'slow']
const SAID_OUTRIGHT = ['exception', 'not-a-pointer', 'out-of-memory']
/** The units of links: words of 4 bytes, bytes, words of 8 bytes. */
const UNITS = [4, 1, 8]
/** A link leads to a header, or to at most this many bytes after it. */
const REACH = 16

/** Returns the cause in a sentence or two; empty if it is not known. */
export function causeOf(evidence: Evidence, name: Namer): string {
  const { history, kind, trespass } = evidence
  // A message of the student's own code needs no further cause, unless it read another payload.
  const isSaid = SAID.includes(kind) || (SAID_OUTRIGHT.includes(kind) && trespass === -1)
  if (history.isCut || isSaid) return ''
  const told =
    copied(evidence, name) ||
    circle(evidence, name) ||
    tooSmall(evidence, name) ||
    staleFooter(evidence, name) ||
    insideAnother(evidence, name) ||
    staleLink(evidence, name) ||
    wrongSize(evidence, name) ||
    wrongLeft(evidence, name) ||
    takenTwice(evidence, name) ||
    wrongHeader(evidence) ||
    usedNeighbour(evidence) ||
    tooShort(evidence, name)
  return told
}

/** A realloc that lost the contents of the block. */
function copied({ verifier, history, opening, copies, kind }: Evidence, name: Namer): string {
  const { ledger, own, trace, operation } = verifier
  if (kind !== 'realloc' || own === -1 || trace.kinds[operation] !== REALLOC) return ''
  const from = ledger.pointers[own]
  const kept = Math.min(ledger.sizes[own], ledger.sizeAt(operation))
  const copy = copies.find(each => each.from < from + kept && each.to > from)
  if (copy !== undefined && copy.to > from + Math.max(kept, ledger.sizes[own])) return ''
  const until = copy?.index ?? history.length
  for (let index = opening; index < until; index++) {
    const word = history.word(index)
    if (word >= from && word < from + kept) {
      const order = copy === undefined ? '' : ', before the copy'
      return (
        `byte ${word}, in the payload of the old block, was overwritten by ` +
        `${name(index)}${order}`
      )
    }
  }
  if (copy !== undefined && copy.to - Math.max(copy.from, from) < kept)
    return `the copy took ${copy.to - copy.from} bytes, and the block has ${kept} that must be kept`
  return ''
}

/** A walk that returns to an earlier block. */
function circle({ verifier, history, reads, recent, kind }: Evidence, name: Namer): string {
  if (kind !== 'endless') return ''
  const places = new Set(recent)
  const values = new Map(reads.map(({ at, value }) => [at, value]))
  const [only = -1] = places
  const { lab } = verifier
  if (places.size === 1 && ((values.get(only) ?? 0) & ~7) === 0) {
    const end =
      only === lab.high - 4
        ? '. These are the last 4 bytes of the heap: the walk needs an epilogue header there ' +
          '(size 0, used), or a comparison with memory.high'
        : ''
    return (
      `the walk does not move on from byte ${only}, which it takes for the header of a block of ` +
      `size 0: ${history.describe(only)}${end}`
    )
  }
  const links = [...places].flatMap(at => {
    const target = UNITS.map(unit => (values.get(at) ?? 0) * unit).find(
      to => to > 0 && [...places].some(other => other >= to && other < to + REACH)
    )
    const index = history.last(at)
    return target === undefined || index === -1 ? [] : [{ at, target, index }]
  })
  const self = links.find(({ at, target }) => at >= target && at < target + REACH)
  if (self !== undefined)
    return (
      `the free list goes in a circle: the block at byte ${self.target} links to itself (byte ` +
      `${self.at}). It was inserted while it was the first of the list already: ${name(self.index)}`
    )
  const [newest] = links.toSorted((a, b) => b.index - a.index)
  if (newest === undefined) return ''
  return (
    `the free list goes in a circle of ${links.length} links: the link at byte ${newest.at} ` +
    `leads back to the block at ${newest.target}. It was written by ${name(newest.index)}: that ` +
    'block was on the list already'
  )
}

/** Returns the size in a tag, whose low bits are flags. */
function sizeIn(value: number): number {
  return Number.isNaN(value) ? 0 : value & ~7
}

/**
 * Returns the write of the footer that belongs to a header, in the same operation; -1 for none.
 */
function footerOf(history: History, index: number): number {
  const size = sizeIn(history.value(index))
  if (size < 8) return -1
  const word = history.word(index) + size - 4
  const operation = history.operation(index)
  for (let next = index + 1; history.operation(next) === operation; next++) {
    if (history.word(next) === word && sizeIn(history.value(next)) === size) return next
    if (history.word(next) === history.word(index)) return -1
  }
  return -1
}

/** Returns whether a write is the footer of a block whose header has the same size. */
function isFooter(history: History, index: number): boolean {
  const size = sizeIn(history.value(index))
  return size >= 8 && sizeIn(history.valueAt(history.word(index) + 4 - size, index)) === size
}

/** A link written over the footer of its own block, in the same operation. */
function tooSmall({ history }: Evidence, name: Namer): string {
  for (let index = 0; index < history.length; index++) {
    const size = sizeIn(history.value(index))
    if (size < 8 || size > 24 || (history.value(index) & 1) === 1) continue
    const footer = footerOf(history, index)
    if (footer === -1) continue
    const operation = history.operation(index)
    for (let next = footer + 1; history.operation(next) === operation; next++) {
      const word = history.word(next)
      if (word === history.word(index)) break
      if (word !== history.word(footer) || isFooter(history, next)) continue
      return (
        `a free block of ${size} bytes is too small for header, links and footer: the one at ` +
        `byte ${history.word(index)} got its footer from ${name(footer)}, and a link was written ` +
        `over it by ${name(next)}`
      )
    }
  }
  return ''
}

/** A word read as a footer that is not one, or is out of date. */
function staleFooter(evidence: Evidence, name: Namer): string {
  const { verifier, history, reads } = evidence
  const { lab } = verifier
  for (const { at, value } of reads) {
    const header = headerEndingAt(history, at + 4, history.length)
    if (header === undefined || history.word(header) === at) continue
    // A footer is in front of a header, or of the end.
    const behind = history.valueAt(at + 4)
    if (Number.isNaN(behind) && at + 4 !== lab.high) continue
    const index = history.last(at)
    const tag = history.value(header)
    if (index > header || sizeIn(tag) === 0) continue
    if (sizeIn(value) === sizeIn(tag) && (value & 1) === (tag & 1)) continue
    return footerTold(evidence, { at, value, header, index, behind }, name)
  }
  return ''
}

interface Footer extends Read {
  /** The writes of the header of the block that ends there, and of the footer itself. */
  readonly header: number
  readonly index: number
  /** The header after it. */
  readonly behind: number
}

function footerTold({ verifier, history }: Evidence, footer: Footer, name: Namer): string {
  const { ledger } = verifier
  const { at, value, header, index, behind } = footer
  const tag = history.value(header)
  const begin = history.word(header)
  const owner = ledger.ownerWithin(begin, begin + sizeIn(tag))
  const end = owner === -1 ? 0 : ledger.pointers[owner] + ledger.sizes[owner]
  if (end > at)
    return (
      `the payload of id ${owner} reaches to byte ${end - 1}, over the footer of its block, ` +
      `which has ${sizeIn(tag)} bytes: too few for header, payload and footer. Its header was ` +
      `written by ${name(header)}`
    )
  const block =
    `the block that ends there begins at byte ${begin} and has ${sizeIn(tag)} bytes` +
    `${owner === -1 ? '' : `, with id ${owner} in use`}`
  if (index === -1)
    return (
      `byte ${at} was read as a footer, but none was written: ${block}. Its header was written ` +
      `by ${name(header)}. ` +
      (owner === -1
        ? 'Write the footer wherever a header is written'
        : 'A used block needs a footer too, or a bit in the header behind it that says it is used')
    )
  const stale =
    `the footer at byte ${at} is out of date: it says ${shown(value)} since ${name(index)}; but ` +
    `${block}: its header says ${shown(tag)} since ${name(header)}, and its footer was not written`
  const next = history.last(at + 4)
  if (sizeIn(value) !== sizeIn(tag) || next === -1) return stale
  return (
    `${stale}. Or the header behind it should say so, which says ${shown(behind)} since ` +
    `${name(next)}`
  )
}

function shown(tag: number): string {
  return `${tag} (${sizeIn(tag)} bytes, low bits ${tag & 7})`
}

/**
 * Returns the newest write before `before` of a header whose block ends at byte `end`, if it has
 * not been overwritten.
 */
function headerEndingAt(history: History, end: number, before: number): number | undefined {
  for (let index = before - 1; index >= 0; index--) {
    const word = history.word(index)
    const size = sizeIn(history.value(index))
    if (size < 8 || word + size !== end) continue
    if (history.last(word, before) === index) return index
  }
  return undefined
}

/** A link to a block that is no longer free. */
function staleLink(evidence: Evidence, name: Namer): string {
  const { verifier, history, reads, trespass, bad } = evidence
  const { ledger } = verifier
  const at = trespass === -1 ? bad : trespass
  if (at < 0) return ''
  const found = linkTo(reads, at, verifier.lab)
  if (found === undefined) return ''
  const { link, target } = found
  const value = link.value
  const first = history.last(link.at)
  if (first === -1) return ''
  const leads = `the free list leads to byte ${target}, by the word at byte ${link.at} (${value})`
  const listed = lastFree(history, target)
  for (let index = listed + 1; index < history.length; index++) {
    const word = history.word(index)
    if (history.value(index) !== value || word < target || word >= target + REACH) continue
    return (
      `the block at byte ${target} was put on the free list twice: it links to itself (byte ` +
      `${word}) since ${name(index)}`
    )
  }
  const owner = ledger.ownerWithin(at, at + 4)
  const isHandedOut = owner !== -1 && Math.abs(ledger.pointers[owner] - target) <= 8
  const merge = isHandedOut ? -1 : merging(history, target, listed)
  if (!isHandedOut && merge === -1)
    return `${leads}, written by ${name(first)}; but no free block begins there`
  const operation = isHandedOut ? ledger.placing(owner) : history.operation(merge)
  const what = isHandedOut
    ? `the block there is in use: it became id ${owner} ${whenOf(operation)}`
    : `the block there was merged into the one at byte ${history.word(merge)}, by ${name(merge)}`
  const end = beginOf(history, operation + 1)
  const begin = Math.max(beginOf(history, operation), listed + 1)
  const kept = holdersOf(history, value, begin, end).filter(
    word => history.valueAt(word, end) === value
  )
  const [still = -1] = kept.includes(link.at) ? [link.at] : kept
  if (still === -1)
    return `${leads}; but ${what}, and was put on the list after that, by ${name(first)}`
  const one = unlinked(history, still, target, value, begin, name)
  return (
    `${leads}; but ${what}, and was not taken off the list: the link at byte ${still} still led ` +
    `to it, written by ${name(history.last(still, end))}${one}`
  )
}

/** Describes a missing back link of the block that a link leads to, in a doubly linked list. */
function unlinked(
  history: History,
  link: number,
  target: number,
  value: number,
  before: number,
  name: Namer
): string {
  const unit = target / value
  for (const [next, previous] of [
    [4, 8],
    [8, 4]
  ]) {
    if (next === undefined || previous === undefined) continue
    const index = history.last(target + previous, before)
    const back = history.value(index)
    const from = link - next
    const isBlock = footerOf(history, history.last(from, before)) !== -1
    if (!isBlock || Number.isNaN(back) || back * unit === from) continue
    return (
      `. That block did not link back to the one at byte ${from}: byte ${target + previous} said ` +
      `${back}, written by ${name(index)}`
    )
  }
  return ''
}

/** Returns the most recently read word whose value leads to byte `at`. */
function linkTo(
  reads: readonly Read[],
  at: number,
  { low, high }: { readonly low: number; readonly high: number }
): { readonly link: Read; readonly target: number } | undefined {
  for (const link of reads) {
    if (Math.abs(link.at - at) < 4) continue
    for (const unit of UNITS) {
      const target = link.value * unit
      if (target % 4 !== 0 || target < low || target >= high) continue
      if (at >= target && at < target + REACH) return { link, target }
    }
  }
  return undefined
}

/** Returns the newest write of the header of a free block at a byte; -1 for none. */
function lastFree(history: History, at: number): number {
  for (let index = history.length - 1; index >= 0; index--) {
    const isFree = history.word(index) === at && (history.value(index) & 1) === 0
    if (isFree && footerOf(history, index) !== -1) return index
  }
  return -1
}

/**
 * Returns the first header written after `after` of a block that begins in front of a byte and
 * covers it; -1 for none.
 */
function merging(history: History, at: number, after: number): number {
  for (let index = after + 1; index < history.length; index++) {
    const word = history.word(index)
    if (word < at && word + sizeIn(history.value(index)) > at && footerOf(history, index) !== -1)
      return index
  }
  return -1
}

/** Returns the first write of an operation, or of the next one that writes. */
function beginOf(history: History, operation: number): number {
  let [from, until] = [0, history.length]
  while (from < until) {
    const middle = (from + until) >> 1
    if (history.operation(middle) < operation) from = middle + 1
    else until = middle
  }
  return from
}

/** Returns the words that held a value at any time between two writes. */
function holdersOf(history: History, value: number, begin: number, end: number): number[] {
  const words = new Set<number>()
  for (let index = 0; index < end; index++) {
    if (history.value(index) !== value) continue
    const word = history.word(index)
    if (index >= begin || history.valueAt(word, begin) === value) words.add(word)
  }
  return [...words]
}

/** A block whose size reaches into a used block. */
function wrongSize(evidence: Evidence, name: Namer): string {
  const { verifier, history, bad, badValue } = evidence
  const { returned } = verifier
  // The footer that was about to be written, or the header of the returned block.
  const size = sizeIn(badValue)
  const begin = size >= 8 && bad >= 0 ? bad + 4 - size : returned > 0 ? returned - 4 : -1
  const header = begin < 0 ? -1 : history.last(begin)
  if (header === -1) return ''
  for (let index = header; index >= 0; index--) {
    if (history.word(index) !== begin) continue
    const told = merged(verifier, history, index, name) || split(history, index, name)
    if (told !== '') return told
  }
  return ''
}

/** Describes a header whose size is the sum of several blocks, one of them used. */
function merged(verifier: Verifier, history: History, index: number, name: Namer): string {
  const opening = beginOf(history, history.operation(index))
  const begin = history.word(index)
  const end = begin + sizeIn(history.value(index))
  const parts: { readonly at: number; readonly tag: number }[] = []
  for (let at = begin; at < end; ) {
    const tag = history.valueAt(at, opening)
    if (sizeIn(tag) < 8) return ''
    parts.push({ at, tag })
    at += sizeIn(tag)
    if (at > end) return ''
  }
  if (parts.length < 2) return ''
  for (const { at, tag } of parts) {
    const { ledger, own } = verifier
    const owner = ledger.ownerWithin(at + 8, at + 12)
    if (owner === -1 || owner === own || ledger.placing(owner) >= history.operation(index)) continue
    const says =
      (tag & 1) === 1
        ? `although its header says that it is used (${tag})`
        : `because its header says that it is free (${tag}), written by ` +
          name(history.last(at, opening))
    return (
      `the block at byte ${at}, which is in use (id ${owner}), was merged into the block at byte ` +
      `${begin}, ${says}: ${name(index)}`
    )
  }
  return ''
}

/**
 * Describes a header that, with the one in front of it, does not add up to the block that was
 * split.
 */
function split(history: History, index: number, name: Namer): string {
  const operation = history.operation(index)
  const opening = beginOf(history, operation)
  const begin = history.word(index)
  for (let front = opening; history.operation(front) === operation; front++) {
    const at = history.word(front)
    const size = sizeIn(history.value(front))
    if (size < 8 || at + size !== begin) continue
    const before = sizeIn(history.valueAt(at, front))
    const rest = sizeIn(history.value(index))
    if (before < 8 || before <= size || size + rest === before) continue
    return (
      `the block at byte ${at} had ${before} bytes and was split into ${size} and ${rest}, which ` +
      `is ${Math.abs(size + rest - before)} ${size + rest > before ? 'too many' : 'too few'}: ` +
      name(index)
    )
  }
  return ''
}

/** A used block that was handed out again. */
function takenTwice(evidence: Evidence, name: Namer): string {
  const { verifier, history, opening, reads, bad } = evidence
  const { ledger, returned, own } = verifier
  const at = returned > 0 ? returned : bad
  const owner = at < 0 ? -1 : ledger.ownerWithin(at, at + 4)
  if (owner === -1 || owner === own) return ''
  const pointer = ledger.pointers[owner]
  // It was returned, or its header was among the last words read before its payload was written.
  const isTaken = returned === pointer || reads.slice(0, 2).some(read => read.at === pointer - 4)
  const header = history.last(pointer - 4, opening)
  if (!isTaken || header === -1) return ''
  const tag = history.value(header)
  if ((tag & 1) === 1)
    return (
      `the block of id ${owner} was taken although its header, at byte ${pointer - 4}, says that ` +
      `it is used: ${tag}, since ${name(header)}`
    )
  const placing = ledger.placing(owner)
  return (
    `the header of id ${owner}, at byte ${pointer - 4}, says that the block is free: ${tag}, ` +
    `since ` +
    name(header) +
    (history.operation(header) < placing
      ? `. It was not marked as used when the block was handed out, ${whenOf(placing)}`
      : '. The block has been in use all the time')
  )
}

/** A free block created inside another one whose header still covers it. */
function insideAnother(evidence: Evidence, name: Namer): string {
  const { verifier, history, reads, trespass, bad } = evidence
  const { ledger } = verifier
  const at = trespass === -1 ? bad : trespass
  const target = at < 0 ? undefined : linkTo(reads, at, verifier.lab)?.target
  const made = target === undefined ? -1 : lastFree(history, target)
  if (target === undefined || made === -1) return ''
  const operation = history.operation(made)
  const end = beginOf(history, operation + 1)
  for (const { id, pointer } of ledger.heldAfter(operation)) {
    const header = history.last(pointer - 4, end)
    const size = header === -1 ? 0 : sizeIn(history.value(header))
    if (header < made && pointer - 4 < target && pointer - 4 + size > target)
      return (
        `the free block at byte ${target}, made by ${name(made)}, lies inside the block of id ` +
        `${id}: its header, at byte ${pointer - 4}, still says ${shown(history.value(header))} ` +
        `since ${name(header)}`
      )
  }
  return ''
}

/** A block merged with its left neighbour at the wrong address. */
function wrongLeft({ verifier, history, bad, badValue }: Evidence, name: Namer): string {
  for (let index = 0; index < history.length; index++) {
    const operation = history.operation(index)
    if (operation === -1 || footerOf(history, index) === -1) continue
    const told = leftOf(verifier, history, index, history.word(index), history.value(index))
    if (told !== '') return `${told}, by ${name(index)}`
  }
  return sizeIn(badValue) < 8 ? '' : leftOf(verifier, history, history.length, bad, badValue)
}

/** Describes what is wrong with a header written to `begin`, as write `index`. */
function leftOf(
  { ledger, operation: current }: Verifier,
  history: History,
  index: number,
  begin: number,
  tag: number
): string {
  const operation = index === history.length ? current : history.operation(index)
  const opening = beginOf(history, operation)
  const headers = [ledger.endedBy(operation) - 4]
  for (let earlier = opening; earlier < index; earlier++)
    if (footerOf(history, earlier) !== -1) headers.push(history.word(earlier))
  for (const header of headers) {
    if (begin >= header || begin + sizeIn(tag) <= header) continue
    const footer = history.valueAt(header - 4, opening)
    const left = header - sizeIn(footer)
    const isFree = sizeIn(footer) >= 8 && (footer & 1) === 0
    const agrees = sizeIn(history.valueAt(left, opening)) === sizeIn(footer)
    if (!isFree || !agrees || begin === left) continue
    return (
      `the footer in front of byte ${header} says that the left neighbour has ${sizeIn(footer)} ` +
      `bytes, so it begins at byte ${left}; but the header of both together was written to byte ` +
      `${begin}`
    )
  }
  return ''
}

/** A used block whose payload was read as links. */
function usedNeighbour({ verifier, reads, trespass }: Evidence): string {
  const { ledger, own } = verifier
  const owner = trespass === -1 ? -1 : ledger.ownerWithin(trespass, trespass + 4)
  if (owner === -1 || owner === own) return ''
  const pointer = ledger.pointers[owner]
  const header = reads.find(({ at }) => at === pointer - 4)
  if (header === undefined || (header.value & 1) === 0 || trespass >= pointer + REACH) return ''
  return (
    `the block of id ${owner} is in use, as its header at byte ${header.at} says ` +
    `(${shown(header.value)}), but was treated as free: byte ${trespass} was read as if it were ` +
    'a link'
  )
}

/** A block to be freed whose header was not read. */
function wrongHeader({ verifier, history, opening, reads }: Evidence): string {
  const { ledger, operation } = verifier
  const pointer = ledger.endedBy(operation)
  const header = pointer - 4
  const tag = history.valueAt(header, opening)
  if (pointer === -1 || sizeIn(tag) < 8 || (tag & 1) === 0) return ''
  const [first] = reads.toReversed()
  if (first === undefined || reads.some(({ at }) => at === header)) return ''
  return (
    `the header of the block is at byte ${header} and says ${shown(tag)}, but was not read; the ` +
    `first word that was is at byte ${first.at}`
  )
}

/** A used block whose header has fewer bytes than header and payload need. */
function tooShort({ verifier, history, reads }: Evidence, name: Namer): string {
  const { ledger } = verifier
  for (const { at } of reads) {
    const owner = ledger.ownerWithin(at + 4, at + 8)
    const header = history.last(at)
    if (owner === -1 || ledger.pointers[owner] !== at + 4 || header === -1) continue
    const tag = history.value(header)
    if (sizeIn(tag) < 8 || sizeIn(tag) >= ledger.sizes[owner] + 4) continue
    return (
      `the header of id ${owner}, at byte ${at}, says ${shown(tag)} since ${name(header)}: too ` +
      `few for a header and ${ledger.sizes[owner]} bytes. A size whose low bits are flags must ` +
      'be a multiple of 8'
    )
  }
  return ''
}
