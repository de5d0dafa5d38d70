/**
 * The control area of a shared heap: the state through which its threads coordinate. They belong to
 * one process or, if the heap is in a file, to several. It follows the superblock (superblock.ts)
 * in the head, so no pointer and no view of the heap reaches it.
 *
 *     ┌────────────┬───────────────────────┬──────────────────────────────────────────────┐
 *     │ lives      │ a record for each     │ an outbox for each pair of arenas:           │
 *     │ 256 words  │ arena, 128 bytes      │ two halves of 128 bytes                      │
 *     └────────────┴───────────────────────┴──────────────────────────────────────────────┘
 *
 *     life      one for each attached thread; odd while the thread is alive. It is incremented when
 *               the thread attaches, and again when the thread closes the heap or ends, however it
 *               ends. Only a killed process leaves it odd; another thread then increments it
 *               (access.ts).
 *     token     life << 8 | its index. Identifies a thread: the next thread at this index has
 *               another life.
 *
 *     record    ┌──────┬──────┬────────────┬──────┬───────┬─────────┬───────┬────────────┐
 *               │ BUSY │ CALL │  14 words  │ LOCK │ OWNER │ DAMAGED │ TRIMS │  12 words  │
 *               └──────┴──────┴────────────┴──────┴───────┴─────────┴───────┴────────────┘
 *               a cache line for the owner   and one for other threads
 *
 *     half      ┌───────┬───────┬──────────────────────────────────────────┐
 *               │ STATE │ COUNT │ 30 pointers into the other arena, / 8    │
 *               └───────┴───────┴──────────────────────────────────────────┘
 *
 * Positions are word indexes in the head.
 */
import { SUPERBLOCK_BYTES } from './superblock.js'

/** The word where the lives begin. */
export const LIVES_AT = SUPERBLOCK_BYTES / 4

/** The maximum number of threads attached at the same time. */
export const LIVES = 256
/** The maximum number of arenas of a heap. */
export const MOST_ARENAS = 32

/** The size of an arena's record, in words. */
const RECORD_WORDS = 32
/** 1 during an operation of the owner. */
export const BUSY = 0
/** Why the owner should leave the fast path: a sum of the flags below; 0 for no reason. */
export const CALL = 1
/** Another thread is in the arena, or is about to enter it. */
export const REVOKE = 1
/** An outbox has pointers for this arena. */
export const MAIL = 2
/**
 * Threads without an arena of their own use this one, so the owner takes LOCK for every operation.
 */
export const CROWDED = 4
/**
 * The token of the thread that has entered the arena; 0 for none. The owner's fast path does not
 * set it.
 */
export const LOCK = 16
/** The token of the thread that owns the arena; 0 for none. */
export const OWNER = 17

/**
 * 1 when a thread ended during an operation in the arena: it must be recovered before it is used.
 */
export const DAMAGED = 18
/**
 * How often pages of the arena were returned to the system, modulo 2 ** 32. Only for a heap in a
 * file.
 */
export const TRIMS = 19

/** The size of half an outbox, in words. */
export const HALF_WORDS = 32
/** FILLING: the half belongs to the sending arena. POSTED: to the receiving arena. */
export const STATE = 0
export const FILLING = 0
export const POSTED = 1
/** The number of pointers. Storing it commits a free. */
export const COUNT = 1
export const POINTERS = 2
/** The capacity of half an outbox, in pointers. */
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
 * The first half of the outbox from arena `from` to arena `to`. The second half follows it.
 */
export function outboxOf(arenas: number, from: number, to: number): number {
  return recordOf(arenas) + 2 * HALF_WORDS * (from * arenas + to)
}

/** The parts of a token: the index of its life, the word of that life, its value while alive. */
export const indexOf = (token: number): number => token & (LIVES - 1)
export const lifeOf = (token: number): number => LIVES_AT + indexOf(token)
export const livingOf = (token: number): number => token >>> 8
/**
 * How far a life advances when tokens in the heap may be newer. Enough if fewer than half as many
 * threads had this life since the last sync.
 */
const LOST_LIVES = 0x10000
/** The value of a life after it ends. */
export const endedOf = (life: number): number => (life + 1) & 0x7fffff

/**
 * Prepares the control area for the first thread that opens the heap: ends all lives, and makes all
 * arenas vacant. An arena with an interrupted operation becomes DAMAGED; if `isUnclean`, all do.
 * Outboxes keep their pointers, unless the machine restarted (`forgets`): they may then be older
 * than the arenas. The area may have any content, and a kill after any store does no harm.
 */
export function adopt(
  words: Int32Array,
  arenas: number,
  isUnclean: boolean,
  forgets: boolean
): void {
  for (let life = LIVES_AT; life < LIVES_AT + LIVES; life++) {
    if (words[life] !== (words[life] & 0x7ffffe)) words[life] = endedOf(words[life] | 1)
    // Tokens in the heap may be newer than this life, and must not match a future life.
    if (forgets) words[life] = (words[life] + LOST_LIVES) & 0x7ffffe
  }
  for (let arena = 0; arena < arenas; arena++) {
    const record = recordOf(arena)
    const isInUse = words[record + BUSY] !== 0 || words[record + LOCK] !== 0
    // This store comes first: until then, the words below tell that the arena is damaged.
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
