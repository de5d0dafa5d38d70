/**
 * Where things lie in a hardened heap. It is cut in two, and the knowledge about blocks is kept away from the blocks:
 *
 *     byte 0                                                     1/4                                                    end
 *     ┌────────┬────────────┬───────┬──────────────┬────────────────┬────────────────────────────────────────────────────┐
 *     │ header │ index of   │ seals │ pages given  │ ledger: header,│ slots: payload and red zone, payload and red zone, │
 *     │        │ the policy │       │ back         │ links, footers │ fill; no header and no link among them             │
 *     └────────┴────────────┴───────┴──────────────┴────────────────┴────────────────────────────────────────────────────┘
 *
 * The front part, up to the end of the ledger, is an ordinary heap, at a quarter of the size. The allocator and the placement
 * policies do there what they do in any heap, on the same words: split, merge, link. Each word of the ledger stands for four
 * words of slots, so that a block of the ledger has a slot of four times its size, and the pointer to a slot is four
 * times the pointer that the block would have had in an ordinary heap:
 *
 *     block + 1   ─────────────── times 16 ───────────────▶   pointer: a multiple of 32
 *
 * The smallest block, of 4 words, has a slot of 64 bytes; slots grow by 32 bytes. What a program writes through a pointer,
 * before, behind or long after its block, meets other slots, and never a header or a link.
 *
 * A used block of the ledger:           a quarantined block (see quarantine.ts):     a free block:
 *
 *     ┌───────────────────────┐         ┌───────────────────────┐                    ┌───────────────────┐
 *     │ size │ PREVIOUS_USED 1│         │ size │ PREVIOUS_USED 1│                    │ as in block.ts    │
 *     │ slack of the slot     │         │ slack of the slot     │                    │                   │
 *     │ –                     │         │ next in the quarantine│                    │                   │
 *     └───────────────────────┘         └───────────────────────┘                    └───────────────────┘
 *
 * The slack is what the slot has beyond the bytes that were asked for; at least one byte, which is the red zone.
 */
import type { Layout } from '../engine/format.js'
import { MINIMUM_WORDS } from '../layout/block.js'
import { HEADER_WORDS } from '../layout/header.js'
import type { PlacementPolicy } from '../placement/placement.js'

/** Bytes of slot for each word of the ledger. */
export const SLOT_BYTES = 16
const SCALE_SHIFT = 2
/** Pages that were given back to the system are noted in units of so many bytes: the smallest page there is. */
export const PAGE_UNIT = 4096
/** How many of these share a word of notes: see given-back.ts. */
export const PAGES_IN_WORD = 8
/** Words that separate the ledger from the first slot, at least. */
const GUARD_WORDS = 8

/** Where the parts behind the policy's index lie, as word indexes. */
export interface HardenedLayout {
  /** One word for every four words of the ledger. */
  readonly seals: number
  /** One word for PAGES_IN_WORD times PAGE_UNIT of the heap. */
  readonly givenBack: number
  /** The first block of the ledger. */
  readonly first: number
}

/** How many words the ledger and all in front of it have, in a heap of `words` words. */
export function ledgerWords(words: number): number {
  return (words >>> (SCALE_SHIFT + 1)) << 1
}

/** The layout of a heap of `words` words whose policy's index ends at the word `index`. */
export function hardenedLayout(words: number, index: number): HardenedLayout {
  const ledger = ledgerWords(words)
  const givenBack = index + sealIndex(ledger - sealOrigin(ledger)) + 1
  const end = givenBack + pageWords(words)
  return { seals: index, givenBack, first: Math.max(end, (ledger + GUARD_WORDS) >> SCALE_SHIFT) | 1 }
}

/** How many words the notes on pages that were given back take, in a heap of `words` words. */
export function pageWords(words: number): number {
  return Math.ceil((words * 4) / PAGE_UNIT / PAGES_IN_WORD)
}

/** Where the blocks of the ledger lie, in a heap of `words` words. */
export function layoutOfLedger(words: number, policy: PlacementPolicy): Layout {
  const end = ledgerWords(words)
  return { first: hardenedLayout(words, HEADER_WORDS + policy.indexWords(end)).first, end }
}

/** No block of the ledger lies in front of this word; so seals are counted from here. */
export function sealOrigin(ledger: number): number {
  return ledger >> SCALE_SHIFT
}

/** Which seal a block has that begins so many words behind the origin: no two blocks share one. */
export function sealIndex(distance: number): number {
  return Math.floor(distance / MINIMUM_WORDS)
}

/** The pointer to the slot of a block; also, where a word of the ledger has its bytes among the slots. */
export function slotOf(block: number): number {
  return (block + 1) * SLOT_BYTES
}

/** The block whose slot begins at `pointer`; 0, which no block has, where none can begin. */
export function blockAt(pointer: number): number {
  return pointer % (2 * SLOT_BYTES) === 0 && pointer > 0 ? pointer / SLOT_BYTES - 1 : 0
}

/** The words of the ledger that a payload of `bytes` needs, with a red zone of one byte or more. */
export function ledgerWordsFor(bytes: number): number {
  return Math.max(MINIMUM_WORDS, Math.floor(bytes / (2 * SLOT_BYTES) + 1) * 2)
}
