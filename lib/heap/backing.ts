/** What a heap is built on. */
import type { Engine, Host, Leak, Pages } from '../engine/engine.js'
import type { HeapFile } from '../sharing/heap-file.js'
import type { HeapHandle } from '../sharing/open.js'
import type { SharedFile } from '../sharing/shared-file.js'

/** Mapped memory: a `Region` is one. */
export interface Backing extends Pages {
  readonly closed: boolean
  /** Returns the number of bytes in physical memory. Throws ERR_OFFHEAP_SYSTEM. */
  residentBytes(): number
  /** Unmaps it, and detaches every view. Throws ERR_OFFHEAP_SYSTEM. */
  close(): void
}

/** What a heap is made of. */
export interface Parts<Memory extends ArrayBufferLike> {
  /** The words of the heap. The header was verified. */
  readonly words: Int32Array<Memory>
  /** Opens the engine on the words. */
  open(host: Host): Engine
  /** The mapped memory under the heap; undefined for a caller's buffer. */
  readonly backing: Backing | undefined
  /** Reserves memory for the first bytes of the heap; undefined if no call is needed. */
  readonly commit: ((bytes: number) => boolean) | undefined
  /** The file that the heap is in. */
  readonly file: HeapFile | SharedFile | undefined
  /** Whether close() of the heap closes the backing. */
  readonly owns: boolean
  /** Identifies the heap in messages to other threads; undefined if it is not shared. */
  readonly handle?: HeapHandle
  /** Called with the leaks by close(); undefined for a process warning. */
  readonly onLeaks: ((leaks: readonly Leak[]) => void) | undefined
}
