/**
 * The superblock: the first 4 KiB of memory that outlives one `Heap` object, because threads,
 * processes or later runs share it. It says what the memory is, how it is divided, and whether it
 * was closed.
 *
 *     byte 0      4096                                         head bytes
 *     ┌────────────┬────────────────┬─────────────┬─────────────┬─────────┬─────────┬───
 *     │ superblock │ control area,  │ named roots │ zero, up to │ arena 0 │ arena 1 │ …
 *     │            │ if any         │ (roots.ts)  │ 64 KiB      │         │         │
 *     └────────────┴────────────────┴─────────────┴─────────────┴─────────┴─────────┴───
 *     ╰──────────────────────── head ──────────────────────────╯╰─────── body ──────────
 *
 * Every arena is a complete heap (lib/layout/header.ts) with a header, an index and blocks of its
 * own. All have the same size, a multiple of 64 KiB, which is a multiple of every page size. A heap
 * that one thread at a time uses has one arena and no control area: what threads need that use it
 * at the same time.
 *
 * Pointers count from the first byte of arena 0. So no pointer names a byte of the head, a heap
 * with one arena has the pointers that it would have on private memory, and the pointer's arena is
 * a division away.
 *
 *     byte   0  magic, version, byte order, arena units, arenas, control size, id (4 words)   written once
 *           64  state, holder's process id, generation, boot id (4 words)
 *          128  budget        arena units that no arena has claimed yet
 *          192  root          the root pointer
 *          256  lock          0, or who holds the lock of the head
 *
 * Words that several threads write have 64 bytes each: a cache line. All are words of the machine's
 * byte order.
 */
import { OffheapError } from '../errors.js'

/** The size of the superblock, in bytes. */
export const SUPERBLOCK_BYTES = 4096
/** How many named roots there are, and the size of one in bytes. */
export const ROOTS = 64
export const ROOT_BYTES = 128
/** Head and arenas begin at multiples of this many bytes, and their sizes are such multiples. */
export const UNIT_BYTES = 65536

/** 'offS': this is a superblock. */
export const MAGIC_WORD = 0
export const MAGIC = 0x5366666f
/** The version of the head. Arenas have one of their own. */
export const VERSION_WORD = 1
export const VERSION = 1
export const BYTE_ORDER_WORD = 2
export const BYTE_ORDER = 0x01020304
/** The size of an arena, in units of 64 KiB. Arena n begins n times as far from arena 0. */
export const ARENA_UNITS_WORD = 3
/** The number of arenas. */
export const ARENAS_WORD = 4
/**
 * The size of the control area, in units of 128 bytes; 0 when one thread at a time uses the memory.
 */
export const CONTROL_WORD = 5
export const CONTROL_UNIT_BYTES = 128
/** 128 random bits that tell this memory from all others. */
export const FILE_ID_WORD = 6

/** Whether the memory was closed: one of the states below. */
export const STATE_WORD = 16
/** Being written for the first time. */
export const FORMATTING = 0
/** In use, or its last user died. */
export const OPEN = 1
/** Closed. What the system has not written yet is lost if the machine stops. */
export const CLOSED = 2
/** Closed, and every byte is on the disk. */
export const SYNCED = 3
/** How many milliseconds a call waits for another thread. Of a heap that is in no file. */
export const PATIENCE_WORD = 10
/**
 * 1 when the owners of arenas use atomic operations, because not every process can make the others
 * execute a memory barrier. Of a shared heap in a file; set by whoever opens it first.
 */
export const FENCE_WORD = 11
/** The process that opened it last. */
export const HOLDER_WORD = 17
/** How often `sync` has completed; modulo 2 ** 32. */
export const GENERATION_WORD = 18
/** The boot of the machine during which it was opened last: 128 bits. */
export const BOOT_ID_WORD = 20

/** Arena units that no arena has claimed yet. */
export const BUDGET_WORD = 32
/** The root pointer, in units of 8 bytes; 0 is NULL. */
export const ROOT_WORD = 48
/** The lock of the head; 0 when nobody holds it. */
export const LOCK_WORD = 64

/** How memory is divided. */
export interface Geometry {
  /** The number of arenas, from 1. */
  readonly arenas: number
  /** The size of each arena in bytes: a multiple of 64 KiB. */
  readonly arenaBytes: number
  /** The size of the control area in bytes: a multiple of 128. */
  readonly controlBytes: number
}

/** Four words: an id of 128 bits. */
export type Id = readonly [number, number, number, number]

/** What a superblock says. */
export interface Superblock extends Geometry {
  readonly fileId: Id
  readonly bootId: Id
  /** FORMATTING, OPEN, CLOSED or SYNCED. */
  readonly state: number
  readonly holder: number
  readonly generation: number
}

/** Where the named roots begin, in bytes. */
export function rootsAt(controlBytes: number): number {
  return SUPERBLOCK_BYTES + controlBytes
}

/** Where arena 0 begins: the size of the head, in bytes. */
export function headBytes(controlBytes: number): number {
  return Math.ceil((rootsAt(controlBytes) + ROOTS * ROOT_BYTES) / UNIT_BYTES) * UNIT_BYTES
}

/** The bytes of head and arenas together. */
export function totalBytes({ arenas, arenaBytes, controlBytes }: Geometry): number {
  return headBytes(controlBytes) + arenas * arenaBytes
}

/**
 * Writes the superblock of new memory, whose head is zero. The state is FORMATTING until the
 * caller, with the arenas written, sets another. The magic comes last: until then this is not a
 * superblock.
 */
export function writeSuperblock(words: Int32Array, geometry: Geometry, fileId: Id): void {
  words[STATE_WORD] = FORMATTING
  words[BYTE_ORDER_WORD] = BYTE_ORDER
  words[ARENA_UNITS_WORD] = geometry.arenaBytes / UNIT_BYTES
  words[ARENAS_WORD] = geometry.arenas
  words[CONTROL_WORD] = geometry.controlBytes / CONTROL_UNIT_BYTES
  words.set(fileId, FILE_ID_WORD)
  words[VERSION_WORD] = VERSION
  words[MAGIC_WORD] = MAGIC
}

/**
 * Reads and verifies a superblock, from memory of any content and at least 4 KiB.
 * Throws ERR_OFFHEAP_NOT_A_HEAP. A state of FORMATTING is not an error here.
 */
export function readSuperblock(words: Int32Array): Superblock {
  if (words.length * 4 < SUPERBLOCK_BYTES || words[MAGIC_WORD] !== MAGIC) {
    const swapped = words[MAGIC_WORD] === SWAPPED_MAGIC
    throw notAHeap(
      swapped
        ? 'it was written on a machine of the other byte order; use it there'
        : 'it does not begin with the bytes "offS", as every heap that is shared or in a file does'
    )
  }
  if (words[VERSION_WORD] !== VERSION) {
    throw notAHeap(
      `its version is ${words[VERSION_WORD]}, and this offheap reads version ${VERSION}; ` +
        'use the offheap that wrote it'
    )
  }
  if (words[BYTE_ORDER_WORD] !== BYTE_ORDER) throw notAHeap('its byte order is unknown')
  const units = words[ARENA_UNITS_WORD]
  const arenas = words[ARENAS_WORD]
  const control = words[CONTROL_WORD]
  if (!(units >= 1 && arenas >= 1 && units * arenas <= MOST_UNITS)) {
    throw notAHeap(`its superblock says that it has ${arenas} arenas of ${units} * 64 KiB`)
  }
  if (!(control >= 0 && control <= MOST_CONTROL)) {
    throw notAHeap(`its superblock says that it has a control area of ${control} * 128 bytes`)
  }
  const state = words[STATE_WORD]
  if (!(state >= FORMATTING && state <= SYNCED))
    throw notAHeap(`its state is ${state}, which is unknown`)
  return {
    arenas,
    arenaBytes: units * UNIT_BYTES,
    controlBytes: control * CONTROL_UNIT_BYTES,
    fileId: idAt(words, FILE_ID_WORD),
    bootId: idAt(words, BOOT_ID_WORD),
    state,
    holder: words[HOLDER_WORD],
    generation: words[GENERATION_WORD] >>> 0
  }
}

/** 'Sffo': the magic word on a machine of the other byte order. */
const SWAPPED_MAGIC = 0x6f666653
/** 32 GiB: what a pointer in units of 8 bytes can name. */
const MOST_UNITS = 2 ** 35 / UNIT_BYTES
/** 16 MiB. */
const MOST_CONTROL = 2 ** 24 / CONTROL_UNIT_BYTES

/** The words of an id. */
export function idAt(words: Int32Array, word: number): Id {
  return [words[word], words[word + 1], words[word + 2], words[word + 3]]
}

export function sameId(one: Id, other: Id): boolean {
  return one.every((word, index) => word === other[index])
}

function notAHeap(why: string): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_NOT_A_HEAP',
    `There is no usable heap in this memory: ${why}`
  )
}
