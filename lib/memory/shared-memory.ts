/**
 * Memory that several threads of the process have open at once, each with buffers of its own over
 * the same pages. It has a head, which only the library sees, and a body, which is the heap's
 * buffer.
 */
import { randomBytes } from 'node:crypto'
import { OffheapError } from '../errors.js'
import { type Addon, addon, type Shared } from './addon.js'
import { refusal } from './refusal.js'
import { type RegionOptions, settingsOf } from './region.js'
import { guardZlib } from './zlib.js'

export class SharedMemory {
  /** By this, other threads of the process find the memory. */
  readonly id: string
  readonly head: ArrayBuffer
  readonly buffer: ArrayBuffer
  private readonly addon: Addon
  private readonly shared: Shared
  private readonly locked: boolean

  /**
   * Maps zeroed memory of whole pages; `options.size` is not used.
   * Throws ERR_INVALID_ARG_TYPE, ERR_OFFHEAP_SYSTEM when the system refuses,
   * ERR_OFFHEAP_UNSUPPORTED, ERR_OFFHEAP_NO_ADDON.
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
   * The memory with this id, of 32 characters; undefined when no thread of this process has it
   * open.
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
   * Makes this thread one of those that live: one of `count` words from byte `offset` of the head
   * on is odd from now on, until the memory is closed or the thread ends. Returns a token of that
   * life, or 0 when all are taken.
   */
  claim(offset: number, count: number): number {
    return this.addon.shareClaim(this.shared.handle, offset, count)
  }

  decommit(offset: number, length: number): void {
    this.ask('give back', length, () =>
      this.addon.shareDecommit(this.shared.handle, offset, length)
    )
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
 * The addon, on a system whose addon can share memory. Throws ERR_OFFHEAP_UNSUPPORTED,
 * ERR_OFFHEAP_NO_ADDON.
 */
function sharingAddon(): Addon {
  if (process.platform !== 'win32') return addon()
  throw new OffheapError('ERR_OFFHEAP_UNSUPPORTED', 'Shared heaps work on Linux and macOS only')
}

/**
 * Makes all running threads of the process execute a memory barrier; `across`, those of all
 * processes that have called this with it before. False on systems that can't.
 */
export function barrier(across = false): boolean {
  return addon().barrier(across)
}

/** Lets this thread sleep, for up to 10,000 microseconds. */
export function sleep(microseconds: number): void {
  addon().sleep(microseconds)
}
