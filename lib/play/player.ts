/**
 * What is played on: an allocator on memory that records, and what its bytes mean. The package's
 * own is one (own.ts), a lab's another.
 */

import type { HeapPicture } from './picture.js'
import type { Recorder } from './recorder.js'

/** A block that the program has and may use. */
export interface LiveBlock {
  readonly variable: number
  readonly pointer: number
  /** Bytes that were asked for. */
  readonly size: number
}

/** What a picture is drawn from. */
export interface Scene {
  readonly words: Int32Array
  readonly live: readonly LiveBlock[]
  /** Blocks that the program had before. */
  readonly freed: readonly LiveBlock[]
  /** Byte offset at which the heap ends, of an allocator that moves it by `sbrk`. */
  readonly high: number
  /** What the allocator said of its heap after the last whole call, if it says anything. */
  readonly description: unknown
}

/**
 * An allocator at work. Every function may throw, and return anything: whoever calls looks at it.
 */
export interface Player {
  readonly recorder: Recorder
  malloc(size: number): unknown
  calloc(count: number, size: number): unknown
  alignedAlloc(alignment: number, size: number): unknown
  realloc(pointer: number, size: number): unknown
  free(pointer: number): unknown
  /** Where the heap ends now. */
  readonly high: number
  describe(): unknown
}

export interface Instrument {
  /** Such as `first-fit`. */
  readonly label: string
  /** Opens a new, empty heap. */
  open(): Player
  /** What the words of a heap mean, at any moment of a call. */
  picture(scene: Scene): HeapPicture
}
