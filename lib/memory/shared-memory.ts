/**
 * Memory that several threads of the process have open at the same time, each with its own buffers
 * over the same pages. It has a head, which only the library accesses, and a body, which is the
 * buffer of the heap.
 */
import { randomBytes } from 'node:crypto'
import { OffheapError } from '../errors.js'
import { type Addon, addon, type Shared } from './addon.js'
import { refusal } from './refusal.js'
import { type RegionOptions, settingsOf } from './region.js'
import { guardZlib } from './zlib.js'

export class SharedMemory {
  /** Identifies the memory to other threads of the process. */
  readonly id: string
  readonly head: ArrayBuffer
  readonly buffer: ArrayBuffer
  private readonly addon: Addon
  private readonly shared: Shared
  private readonly locked: boolean

  /**
   * Maps zeroed memory. Both sizes are multiples of the page size; `options.size` is ignored.
   * Throws ERR_INVALID_ARG_TYPE, ERR_OFFHEAP_SYSTEM, ERR_OFFHEAP_UNSUPPORTED, ERR_OFFHEAP_NO_ADDON.
   */
  static map(headBytes: number, bodyBytes: number, options: RegionOptions): SharedMemory {
    const { guard, hugePages, populate, lock } = settingsOf(options)
    const native = sharingAddon()
    const id = randomBytes(16).toString('hex')
    try {
      const shared = native.shareMap(id, headBytes, bodyBytes, guard, hugePages, populate, lock)
      return new SharedMemory(id, native, shared, lock)
    } catch (error) {
      const verb = lock ? 'map and lock' : 'map'
      throw refusal(error, {
        verb,
        size: headBytes + bodyBytes,
        locked: lock,
        lockLimit: native.lockLimit()
      })
    }
  }

  /**
   * Attaches to the memory with this id, of 32 characters. Returns undefined when no thread of this
   * process has it open.
   */
  static attach(id: string): SharedMemory | undefined {
    const native = sharingAddon()
    const shared = native.shareAttach(id)
    return shared === undefined ? undefined : new SharedMemory(id, native, shared, false)
  }

  private constructor(id: string, native: Addon, shared: Shared, locked: boolean) {
    this.id = id
    this.head = shared.head
    this.buffer = shared.buffer
    this.addon = native
    this.shared = shared
    this.locked = locked
  }

  /** True after close(), and when the buffer was transferred away. */
  get closed(): boolean {
    return this.buffer.byteLength === 0
  }

  get pageSize(): number {
    return this.addon.pageSize
  }

  /**
   * Claims a life for this thread: one of `count` words, the first at byte `offset` of the head,
   * becomes odd until the memory is closed or the thread ends. Returns a token of the life, or 0
   * when all are taken.
   */
  claim(offset: number, count: number): number {
    return this.addon.shareClaim(this.shared.handle, offset, count)
  }

  decommit(offset: number, length: number): void {
    this.ask('release', length, () => this.addon.shareDecommit(this.shared.handle, offset, length))
  }

  residentBytes(): number {
    return this.ask('count the pages of', this.buffer.byteLength, () =>
      this.addon.shareResidentBytes(this.shared.handle)
    )
  }

  close(): void {
    guardZlib()
    this.addon.shareClose(this.shared.handle, this.head, this.buffer)
  }

  private ask<Result>(verb: string, size: number, call: () => Result): Result {
    try {
      return call()
    } catch (error) {
      throw refusal(error, { verb, size, locked: this.locked, lockLimit: this.addon.lockLimit() })
    }
  }
}

/**
 * Returns the addon if it supports shared memory. Throws ERR_OFFHEAP_UNSUPPORTED,
 * ERR_OFFHEAP_NO_ADDON.
 */
function sharingAddon(): Addon {
  if (process.platform !== 'win32') return addon()
  throw new OffheapError('ERR_OFFHEAP_UNSUPPORTED', 'Shared heaps work on Linux and macOS only')
}

/**
 * Makes all running threads of the process execute a memory barrier; with `across`, the threads of
 * all processes that have called it with `across` before. Returns false on systems without such a
 * barrier.
 */
export function barrier(across = false): boolean {
  return addon().barrier(across)
}

/** Suspends this thread for up to 10,000 microseconds. */
export function sleep(microseconds: number): void {
  addon().sleep(microseconds)
}
