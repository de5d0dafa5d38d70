/** What lies under a heap, and what the heap asks of it. */
import type { Engine, Host, Leak, Pages } from '../engine/engine.js'
import type { HeapFile } from '../sharing/heap-file.js'
import type { HeapHandle } from '../sharing/open.js'

/** Mapped memory: a `Region` is one. */
export interface Backing extends Pages {
  readonly closed: boolean
  /** The bytes of its pages that are in physical memory. Throws ERR_OFFHEAP_SYSTEM. */
  residentBytes(): number
  /** Unmaps it, and detaches every view. Throws ERR_OFFHEAP_SYSTEM. */
  close(): void
}

/** What a heap is made of. */
export interface Parts<Memory extends ArrayBufferLike> {
  /** The words of the heap, its header verified. */
  readonly words: Int32Array<Memory>
  /** Opens the engine at work on them. */
  open(host: Host): Engine
  /** The mapped memory under the heap; undefined for a caller's buffer. */
  readonly backing: Backing | undefined
  /**
   * Makes sure that the system has memory for the first bytes of the heap; undefined when no call
   * is needed.
   */
  readonly commit: ((bytes: number) => boolean) | undefined
  /** The file that the heap is in. */
  readonly file: HeapFile | undefined
  /** Whether close() of the heap closes the backing. */
  readonly owns: boolean
  /** Names the heap in messages to other threads; undefined when it is not shared. */
  readonly handle?: HeapHandle
  /** Gets the leaks at close(); undefined for a warning. */
  readonly onLeaks: ((leaks: readonly Leak[]) => void) | undefined
}
