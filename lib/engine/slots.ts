/**
 * Slots: the fast path of malloc, free and realloc in a heap with slabs. `take`, `give` and `suits`
 * need one store at most, and no other block. They rely on the tables (lib/layout/slab.ts) only
 * where a wrong value does no harm; the slow paths in slabs.ts verify each step.
 *
 * The store of `used` is the commit of malloc and of free. Everything else can be rebuilt
 * (recover.ts).
 */
import {
  CLASS_MASK,
  ENTRY_INFO,
  ENTRY_SHIFT,
  ENTRY_STARTS,
  INFO,
  LARGEST_SLOT,
  LISTED,
  SLOT_BYTES,
  slabLayout,
  UNIT_BYTES,
  UNITS
} from '../layout/slab.js'

/** The number of the unit that a pointer, any integer, lies in. */
const unitOf = (pointer: number): number =>
  (pointer | 0) === pointer ? pointer >>> 4 : Math.floor(pointer / UNIT_BYTES)

/**
 * realloc moves a payload out of its slot of `size` bytes if it shrinks to this many bytes or
 * fewer: about 3/4.
 */
export const tooFewFor = (size: number): number => Math.max(0, size - UNIT_BYTES - (size >> 2))

/** What a heap uses before it calls its engine. */
export interface FastPath {
  /** Allocates a slot for `bytes` bytes, any int32. Returns 0 if the engine has to do it. */
  take(bytes: number): number
  /** Like `take(bytes)`, but clears the first `bytes` bytes. */
  takeZeroed(bytes: number): number
  /**
   * Frees the used slot at `pointer`, any integer. Returns false, changing nothing, if the engine
   * has to do it.
   */
  give(pointer: number): boolean
  /** Should `bytes` bytes stay in the used slot at `pointer`, any integer? */
  suits(pointer: number, bytes: number): boolean
}

export class Slots implements FastPath {
  /** Requests of up to this many bytes are served; -1 when the heap has no slabs. */
  limit: number
  private words: Int32Array
  private doubles: Float64Array
  /** The number of units of the heap, and of those below 2 GiB; 0 if it has no slabs. */
  private units: number
  private near: number
  private readonly state: number
  private readonly descriptors: number
  /** The slot size of each class, and what tooFewFor() says of it. */
  private readonly sizes: Int32Array
  private readonly tooFew: Int32Array

  /**
   * The slots of a heap whose slab tables begin at the word `index`. `granules` is 0 if it has no
   * slabs.
   */
  constructor(words: Int32Array, index: number, granules: number) {
    const { state, descriptors } = slabLayout(words.length, index)
    this.words = words
    this.doubles = new Float64Array(words.buffer, words.byteOffset, words.length / 2)
    this.limit = granules === 0 ? -1 : LARGEST_SLOT
    this.units = granules * UNITS
    this.near = 0
    this.setFast(true)
    this.state = state
    this.descriptors = descriptors
    this.sizes = Int32Array.from(
      { length: CLASS_MASK + 1 },
      (_, sizeClass) => SLOT_BYTES[sizeClass] ?? 0
    )
    this.tooFew = this.sizes.map(tooFewFor)
  }

  /** Releases the memory: there are no slots any more. */
  close(): void {
    this.words = new Int32Array(0)
    this.doubles = new Float64Array(0)
    this.limit = -1
    this.units = 0
    this.near = 0
  }

  /**
   * While the fast path is off, `give` and `suits` return false: every free and realloc takes the
   * slow path.
   */
  setFast(isOn: boolean): void {
    this.near = isOn ? Math.min(this.units, 2 ** 31 / UNIT_BYTES) : 0
  }

  /**
   * Allocates a slot of the current slab for `bytes` bytes, any int32. Returns 0 if it has none.
   */
  take(bytes: number): number {
    if (bytes >>> 0 > this.limit) return 0
    const words = this.words
    const entry = (this.state + (((bytes + 15) >>> 4) << ENTRY_SHIFT)) | 0
    const descriptor = words[entry]
    const used = words[descriptor]
    const open = words[(entry + ENTRY_STARTS) | 0] & ~used
    if (open === 0 || words[(descriptor + INFO) | 0] !== words[(entry + ENTRY_INFO) | 0]) return 0
    const unit = Math.clz32(open)
    words[descriptor] = used | (0x80000000 >>> unit)
    return ((((descriptor - this.descriptors) << 4) + unit) | 0) * UNIT_BYTES
  }

  /** Like `take(bytes)`, but clears the first `bytes` bytes. */
  takeZeroed(bytes: number): number {
    const slot = this.take(bytes)
    if (slot === 0) return 0
    const doubles = this.doubles
    const begin = (slot / 8) | 0
    // A slot is whole units of 16 bytes, so few that a loop is faster than a method.
    const end = begin + (((bytes + 15) >>> 4) << 1)
    for (let double = begin; double < end; double += 2) {
      doubles[double] = 0
      doubles[double + 1] = 0
    }
    return slot
  }

  /** The slot that `take(bytes)` would return, for `bytes` from 0 to `limit`; it stays open. */
  next(bytes: number): number {
    const words = this.words
    const entry = (this.state + (((bytes + 15) >>> 4) << ENTRY_SHIFT)) | 0
    const descriptor = words[entry]
    const open = words[(entry + ENTRY_STARTS) | 0] & ~words[descriptor]
    if (open === 0 || words[(descriptor + INFO) | 0] !== words[(entry + ENTRY_INFO) | 0]) return 0
    return ((((descriptor - this.descriptors) << 4) + Math.clz32(open)) | 0) * UNIT_BYTES
  }

  /**
   * Frees the used slot at `pointer`, any integer, if that changes nothing else. Returns false,
   * changing nothing, if no used slot begins there, if its slab is FULL or would become an empty
   * one in a list, and from 2 GiB on.
   */
  give(pointer: number): boolean {
    // A negative pointer gets the unit of a pointer from 2 GiB on.
    const unit = pointer >>> 4
    if (unit << 4 !== pointer || unit >= this.near) return false
    const words = this.words
    const descriptor = (this.descriptors + ((unit >>> 5) << 1)) | 0
    const used = words[descriptor]
    const bit = 0x80000000 >>> unit
    const info = words[(descriptor + INFO) | 0]
    if ((used & bit) === 0 || info < 0) return false
    if (used === (bit | 0) && (info & LISTED) !== 0) return false
    words[descriptor] = used ^ bit
    return true
  }

  /**
   * Is there a used slot at `pointer`, any integer, in which `bytes` bytes should stay, because
   * they fit and take more than about 3/4 of it? False for slots from 2 GiB on.
   */
  suits(pointer: number, bytes: number): boolean {
    // A negative pointer gets the unit of a pointer from 2 GiB on.
    const unit = pointer >>> 4
    if (unit << 4 !== pointer || unit >= this.near) return false
    const words = this.words
    const descriptor = (this.descriptors + ((unit >>> 5) << 1)) | 0
    if ((words[descriptor] & (0x80000000 >>> unit)) === 0) return false
    const sizeClass = words[(descriptor + INFO) | 0] & CLASS_MASK
    return bytes <= this.sizes[sizeClass] && bytes > this.tooFew[sizeClass]
  }

  /** The size of the used slot at `pointer`, any integer; 0 when no used slot begins there. */
  holds(pointer: number): number {
    const unit = unitOf(pointer)
    if (!(pointer > 0 && unit < this.units) || (pointer & 15) !== 0) return 0
    const words = this.words
    const descriptor = (this.descriptors + ((unit >>> 5) << 1)) | 0
    if ((words[descriptor] & (0x80000000 >>> unit)) === 0) return 0
    return this.sizes[words[(descriptor + INFO) | 0] & CLASS_MASK]
  }

  /** Is this byte, any integer, inside a chunk? If so, no ordinary block begins there. */
  covers(pointer: number): boolean {
    const unit = unitOf(pointer)
    if (!(pointer > 0 && unit < this.units)) return false
    return this.words[(this.descriptors + ((unit >>> 5) << 1) + INFO) | 0] !== 0
  }
}

/** Slots for a heap without slabs. */
export const noSlots = (): Slots => new Slots(new Int32Array(0), 0, 0)
