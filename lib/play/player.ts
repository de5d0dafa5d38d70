/**
 * An allocator that the page can use: it runs on memory that records, and its bytes can be
 * interpreted. There are two kinds: the package's own (own.ts) and a lab's (submission.ts).
 */

import type { HeapPicture } from './picture.js'
import type { Recorder } from './recorder.js'

/** A block that the program has allocated. */
export interface LiveBlock {
  readonly variable: number
  readonly pointer: number
  /** The requested bytes. */
  readonly size: number
}

/** The data of a picture. */
export interface Scene {
  readonly words: Int32Array
  readonly live: readonly LiveBlock[]
  /** Blocks that the program has freed. */
  readonly freed: readonly LiveBlock[]
  /** The end of the heap, as a byte offset, for an allocator that moves it by `sbrk`. */
  readonly high: number
  /** What the allocator's `describe()` returned after the last complete call, if it has one. */
  readonly description: unknown
}

/** An open heap. Its functions may throw, and may return anything: the caller checks. */
export interface Player {
  readonly recorder: Recorder
  malloc(size: number): unknown
  calloc(count: number, size: number): unknown
  alignedAlloc(alignment: number, size: number): unknown
  realloc(pointer: number, size: number): unknown
  free(pointer: number): unknown
  /** The current end of the heap, as a byte offset. */
  readonly high: number
  describe(): unknown
}

export interface Instrument {
  /** The name of the allocator, such as `first-fit`. */
  readonly label: string
  /** Opens a new, empty heap. */
  open(): Player
  /** Interprets the words of a heap, at any moment of a call. */
  picture(scene: Scene): HeapPicture
}
