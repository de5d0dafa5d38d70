/**
 * The control area of a shared heap: what its threads tell each other, those of one process or, if
 * the heap is in a file, of several. It lies behind the superblock (superblock.ts), in the head, so
 * no pointer and no view of the heap reaches it.
 *
 *     ┌────────────┬───────────────────────┬──────────────────────────────────────────────┐
 *     │ lives      │ a record for each     │ an outbox for each pair of arenas:           │
 *     │ 256 words  │ arena, 128 bytes      │ two halves of 128 bytes                      │
 *     └────────────┴───────────────────────┴──────────────────────────────────────────────┘
 *
 *     life      one for each thread that is attached: odd while it lives. It is raised by one when the
 *               thread attaches, and again when the thread closes the heap or ends, however it ends.
 *               Only a process that is killed leaves it odd; then others raise it (access.ts).
 *     token     life << 8 | its index. Names a thread for good: the next thread has another life.
 *
 *     record    ┌──────┬──────┬────────────┬──────┬───────┬─────────┬───────┬────────────┐
 *               │ BUSY │ CALL │  14 words  │ LOCK │ OWNER │ DAMAGED │ TRIMS │  12 words  │
 *               └──────┴──────┴────────────┴──────┴───────┴─────────┴───────┴────────────┘
 *               a cache line for the owner   and one for all others
 *
 *     half      ┌───────┬───────┬──────────────────────────────────────────┐
 *               │ STATE │ COUNT │ 30 pointers into the other arena, / 8    │
 *               └───────┴───────┴──────────────────────────────────────────┘
 *
 * Positions are word indexes in the head.
 */
import { SUPERBLOCK_BYTES } from './superblock.js'

/** Where the lives begin. */
export const LIVES_AT = SUPERBLOCK_BYTES / 4

/** How many threads can be attached at a time. */
export const LIVES = 256
/** How many arenas a heap can have. */
export const MOST_ARENAS = 32

/** The words of an arena's record. */
const RECORD_WORDS = 32
/** 1 while the owner is in an operation. */
export const BUSY = 0
/** Why the owner should leave the fast path: a sum of the flags below; 0 for no reason. */
export const CALL = 1
/** Another thread is in the arena, or about to enter it. */
export const REVOKE = 1
/** An outbox has pointers for this arena. */
export const MAIL = 2
/**
 * Threads without an arena of their own use this one, and the owner knows: it takes the lock as
 * they do.
 */
export const CROWDED = 4
/**
 * The token of the thread that is in the arena, and is not in the owner's fast path; 0 for none.
 */
export const LOCK = 16
/** The token of the thread that the arena belongs to; 0 for none. */
export const OWNER = 17

/**
 * 1 when a thread ended in the middle of an operation in the arena, which must be recovered first.
 */
export const DAMAGED = 18
/** How often pages of the arena were given back, modulo 2 ** 32. Of a heap in a file. */
export const TRIMS = 19

/** The words of a half of an outbox. */
export const HALF_WORDS = 32
/** FILLING: it belongs to the arena that sends. POSTED: to the arena that receives. */
export const STATE = 0
export const FILLING = 0
export const POSTED = 1
/** How many pointers there are. The store of it is the commit of a free. */
export const COUNT = 1
export const POINTERS = 2
/** The pointers that a half can hold. */
export const BATCH = HALF_WORDS - POINTERS

/** The bytes of the control area of so many arenas. */
export function controlBytesFor(arenas: number): number {
  return 4 * (LIVES + RECORD_WORDS * arenas + 2 * HALF_WORDS * arenas * arenas)
}

/** The record of arena `index`. */
export function recordOf(index: number): number {
  return LIVES_AT + LIVES + RECORD_WORDS * index
}

/**
 * The first half of the outbox from arena `from` to arena `to`; the second one is right behind it.
 */
export function outboxOf(arenas: number, from: number, to: number): number {
  return recordOf(arenas) + 2 * HALF_WORDS * (from * arenas + to)
}

/** Which life a token names, as a word of the head, and what it is while the thread lives. */
export const indexOf = (token: number): number => token & (LIVES - 1)
export const lifeOf = (token: number): number => LIVES_AT + indexOf(token)
export const livingOf = (token: number): number => token >>> 8
/** Fewer threads than half of this have had the same life since the file was synced. */
const LOST_LIVES = 0x10000
/** What a life that ends becomes. */
export const endedOf = (life: number): number => (life + 1) & 0x7fffff

/**
 * Prepares the control area for the first thread that opens the heap while nobody else has it open:
 * no life goes on, and no arena is anybody's. An arena that somebody was in is DAMAGED, and so are
 * all if `isUnclean`. What waits in outboxes stays, unless the machine stopped (`forgets`): then it
 * may be older than the arenas. The area may hold anything, and be left after any store.
 */
export function adopt(
  words: Int32Array,
  arenas: number,
  isUnclean: boolean,
  forgets: boolean
): void {
  for (let life = LIVES_AT; life < LIVES_AT + LIVES; life++) {
    if (words[life] !== (words[life] & 0x7ffffe)) words[life] = endedOf(words[life] | 1)
    // Tokens in the heap may be newer than this life, and must not name one that is to come.
    if (forgets) words[life] = (words[life] + LOST_LIVES) & 0x7ffffe
  }
  for (let arena = 0; arena < arenas; arena++) {
    const record = recordOf(arena)
    const isInUse = words[record + BUSY] !== 0 || words[record + LOCK] !== 0
    // First: until then the words below say it.
    if (isUnclean || isInUse) words[record + DAMAGED] = 1
    const isDamaged = words[record + DAMAGED] !== 0
    words[record + BUSY] = 0
    words[record + LOCK] = 0
    words[record + OWNER] = 0
    let call = isDamaged ? REVOKE : 0
    for (let from = 0; from < arenas; from++) {
      const first = outboxOf(arenas, from, arena)
      for (const half of [first, first + HALF_WORDS]) {
        const isSound = words[half + COUNT] >= 0 && words[half + COUNT] <= BATCH
        if (forgets || !isSound) words.fill(0, half, half + HALF_WORDS)
        if (words[half + STATE] !== FILLING) {
          words[half + STATE] = POSTED
          call |= MAIL
        }
      }
    }
    words[record + CALL] = call
  }
}
