/**
 * The layout of a hardened heap. It has two parts, which separate headers and links from payloads:
 *
 *     byte 0                                           1/4                                     end
 *     ┌────────┬────────────┬───────┬───────┬────────────────┬──────────────────────────────────┐
 *     │ header │ index of   │ seals │ pages │ ledger: header,│ slots: payload and red zone,     │
 *     │        │ the policy │       │ given │ links, footers │ payload and red zone, fill;      │
 *     │        │            │       │ back  │                │ no header and no link among them │
 *     └────────┴────────────┴───────┴───────┴────────────────┴──────────────────────────────────┘
 *
 * The front part, up to the end of the ledger, is an ordinary heap of a quarter of the size. The
 * allocator and the placement policies work there as in any heap: split, merge, link. Each word of
 * the ledger stands for four words of slots. So a block of the ledger has a slot of four times its
 * size, and the pointer to a slot is four times the pointer that the block would have in an
 * ordinary heap:
 *
 *     block + 1   ─────────────── times 16 ───────────────▶   pointer: a multiple of 32
 *
 * The smallest block, of 4 words, has a slot of 64 bytes; slots grow by 32 bytes. A program that
 * writes before, past the end of, or long after its block hits other slots, and never a header or a
 * link.
 *
 * A used block of the ledger:       a quarantined block (quarantine.ts):     a free block:
 *
 *     ┌───────────────────────┐         ┌───────────────────────┐            ┌───────────────────┐
 *     │ size │ PREVIOUS_USED 1│         │ size │ PREVIOUS_USED 1│            │ as in block.ts    │
 *     │ slack of the slot     │         │ slack of the slot     │            │                   │
 *     │ –                     │         │ next in the quarantine│            │                   │
 *     └───────────────────────┘         └───────────────────────┘            └───────────────────┘
 *
 * The slack is the size of the slot minus the requested bytes: at least one byte, the red zone.
 */
import type { Layout } from '../engine/format.js'
import { MINIMUM_WORDS } from '../layout/block.js'
import { HEADER_WORDS } from '../layout/header.js'
import type { PlacementPolicy } from '../placement/placement.js'

/** Bytes of slot for each word of the ledger. */
export const SLOT_BYTES = 16
const SCALE_SHIFT = 2
/**
 * The unit, in bytes, in which pages given back to the system are noted: the smallest page size.
 */
export const PAGE_UNIT = 4096
/** The number of these units in one word of notes: see given-back.ts. */
export const PAGES_IN_WORD = 8
/** The least number of words between the ledger and the first slot. */
const GUARD_WORDS = 8

/** The parts after the policy's index, as word indexes. */
export interface HardenedLayout {
  /** One word for every four words of the ledger. */
  readonly seals: number
  /** One word for PAGES_IN_WORD times PAGE_UNIT of the heap. */
  readonly givenBack: number
  /** The first block of the ledger. */
  readonly first: number
}

/** The size in words of the ledger and everything before it, in a heap of `words` words. */
export function ledgerWords(words: number): number {
  return (words >>> (SCALE_SHIFT + 1)) << 1
}

/** The layout of a heap of `words` words whose policy's index ends at the word `index`. */
export function hardenedLayout(words: number, index: number): HardenedLayout {
  const ledger = ledgerWords(words)
  const givenBack = index + sealIndex(ledger - sealOrigin(ledger)) + 1
  const end = givenBack + pageWords(words)
  return {
    seals: index,
    givenBack,
    first: Math.max(end, (ledger + GUARD_WORDS) >> SCALE_SHIFT) | 1
  }
}

/** The size in words of the notes about pages given back, in a heap of `words` words. */
export function pageWords(words: number): number {
  return Math.ceil((words * 4) / PAGE_UNIT / PAGES_IN_WORD)
}

/** The place of the ledger's blocks, in a heap of `words` words. */
export function layoutOfLedger(words: number, policy: PlacementPolicy): Layout {
  const end = ledgerWords(words)
  return { first: hardenedLayout(words, HEADER_WORDS + policy.indexWords(end)).first, end }
}

/** No block of the ledger begins before this word, so seals are counted from here. */
export function sealOrigin(ledger: number): number {
  return ledger >> SCALE_SHIFT
}

/** The seal of a block that begins `distance` words after the origin: no two blocks share one. */
export function sealIndex(distance: number): number {
  return Math.floor(distance / MINIMUM_WORDS)
}

/**
 * The pointer to the slot of a block; in general, the byte of the slots for a word of the ledger.
 */
export function slotOf(block: number): number {
  return (block + 1) * SLOT_BYTES
}

/** The block whose slot begins at `pointer`; 0 if none can begin there. */
export function blockAt(pointer: number): number {
  return pointer % (2 * SLOT_BYTES) === 0 && pointer > 0 ? pointer / SLOT_BYTES - 1 : 0
}

/** The words of the ledger that a payload of `bytes` needs, with a red zone of one byte or more. */
export function ledgerWordsFor(bytes: number): number {
  return Math.max(MINIMUM_WORDS, Math.floor(bytes / (2 * SLOT_BYTES) + 1) * 2)
}
