/**
 * The superblock: the first 4 KiB of memory that outlives one `Heap` object, because threads,
 * processes or later runs share it. It identifies the memory, and records how it is divided and
 * whether it was closed.
 *
 *     byte 0      4096                                         head bytes
 *     ┌────────────┬────────────────┬─────────────┬─────────────┬─────────┬─────────┬───
 *     │ superblock │ control area,  │ named roots │ zero, up to │ arena 0 │ arena 1 │ …
 *     │            │ if any         │ (roots.ts)  │ 64 KiB      │         │         │
 *     └────────────┴────────────────┴─────────────┴─────────────┴─────────┴─────────┴───
 *     ╰──────────────────────── head ──────────────────────────╯╰─────── body ──────────
 *
 * Every arena is a complete heap (lib/layout/header.ts) with its own header, index and blocks. All
 * arenas have the same size: a multiple of 64 KiB, which is a multiple of every page size. A heap
 * that only one thread at a time uses has one arena and no control area.
 *
 * Pointers count from the first byte of arena 0. So no pointer reaches the head, a heap with one
 * arena has the same pointers as on private memory, and one division gives the arena of a pointer.
 *
 *     byte   0  magic, version, byte order, arena units, arenas, control size, id (4 words);
 *               written once
 *           64  state, holder's process id, generation, boot id (4 words)
 *          128  budget        arena units that no arena has claimed yet
 *          192  root          the root pointer
 *          256  lock          0, or who holds the lock of the head
 *
 * Each word that several threads write has a cache line of 64 bytes. All words are in the byte
 * order of the machine.
 */
import { OffheapError } from '../errors.js'

/** The size of the superblock, in bytes. */
export const SUPERBLOCK_BYTES = 4096
/** The number of named roots, and the size of each in bytes. */
export const ROOTS = 64
export const ROOT_BYTES = 128
/** The sizes of head and arenas are multiples of this many bytes. */
export const UNIT_BYTES = 65536

/** 'offS': marks a superblock. */
export const MAGIC_WORD = 0
export const MAGIC = 0x5366666f
/** The version of the head. Arenas have their own. */
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
/** 128 random bits that identify this memory. */
export const FILE_ID_WORD = 6

/** Whether the memory was closed: one of the states below. */
export const STATE_WORD = 16
/** Being written for the first time. */
export const FORMATTING = 0
/** In use, or its last user was killed. */
export const OPEN = 1
/** Closed. Pages that the system has not written yet are lost if the machine stops. */
export const CLOSED = 2
/** Closed, and every byte is on the disk. */
export const SYNCED = 3
/** How many milliseconds a call waits for another thread. Only for a heap that is not in a file. */
export const PATIENCE_WORD = 10
/**
 * 1 when the owners of arenas use atomic operations, because not every process can make the others
 * execute a memory barrier. Only for a shared heap in a file; the first opener sets it.
 */
export const FENCE_WORD = 11
/** The id of the process that opened it last. */
export const HOLDER_WORD = 17
/** The number of completed calls of `sync`, modulo 2 ** 32. */
export const GENERATION_WORD = 18
/** The boot id of the machine when it was opened last: 128 bits. */
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

/** The content of a superblock. */
export interface Superblock extends Geometry {
  readonly fileId: Id
  readonly bootId: Id
  /** FORMATTING, OPEN, CLOSED or SYNCED. */
  readonly state: number
  readonly holder: number
  readonly generation: number
}

/** The offset of the named roots, in bytes. */
export function rootsAt(controlBytes: number): number {
  return SUPERBLOCK_BYTES + controlBytes
}

/** The size of the head, in bytes, which is the offset of arena 0. */
export function headBytes(controlBytes: number): number {
  return Math.ceil((rootsAt(controlBytes) + ROOTS * ROOT_BYTES) / UNIT_BYTES) * UNIT_BYTES
}

/** The size of head and arenas together, in bytes. */
export function totalBytes({ arenas, arenaBytes, controlBytes }: Geometry): number {
  return headBytes(controlBytes) + arenas * arenaBytes
}

/**
 * Writes the superblock of new memory, whose head is zero. The state is FORMATTING until the caller
 * has written the arenas and sets another. The magic is stored last: until then, this is not a
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
 * Reads and verifies a superblock. The memory may have any content. Throws ERR_OFFHEAP_NOT_A_HEAP,
 * but not for the state FORMATTING.
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
    throw notAHeap(`its superblock has ${arenas} arenas of ${units} * 64 KiB`)
  }
  if (!(control >= 0 && control <= MOST_CONTROL)) {
    throw notAHeap(`its superblock has a control area of ${control} * 128 bytes`)
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
/** 32 GiB: the range of a pointer in units of 8 bytes. */
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
