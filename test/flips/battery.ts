/**
 * Calls of every kind on a heap in which a bit was flipped, and what such a call must never do,
 * whichever bit it was.
 */
import { type Heap, OffheapError } from '../../lib/index.js'
import type { Random } from '../faults/random.js'
import { write } from './scene.js'

/**
 * What must hold for the heap.
 * - `sound`: it was verified, so all calls work.
 * - `guarded`: it verifies what it uses. A call may throw an error of offheap, and has then not
 *   changed payloads.
 * - `unverified`: only that errors have a code, and that pointers and views lie inside the heap.
 */
export type Duty = 'sound' | 'guarded' | 'unverified'

const CORRUPTION = new Set([
  'ERR_OFFHEAP_CORRUPT',
  'ERR_OFFHEAP_NOT_A_HEAP',
  'ERR_OFFHEAP_INVALID_POINTER',
  'ERR_OFFHEAP_DOUBLE_FREE'
])
const STEPS = 30

export class Battery {
  readonly #heap: Heap
  readonly #duty: Duty
  readonly #random: Random
  readonly #live: Map<number, Uint8Array>
  readonly #bytes: Buffer
  #did = 'nothing'

  constructor(heap: Heap, live: ReadonlyMap<number, Uint8Array>, duty: Duty, random: Random) {
    this.#heap = heap
    this.#duty = duty
    this.#random = random
    this.#live = new Map(live)
    this.#bytes = Buffer.from(heap.buffer)
  }

  /** Makes the calls. Throws if one of them does what it must not. */
  run(): void {
    for (let i = 0; i < STEPS; i++) this.#step()
    for (const pointer of this.#live.keys()) this.#free(pointer)
    this.#look()
    this.#reset()
    for (let i = 0; i < STEPS; i++) this.#step()
  }

  #step(): void {
    const random = this.#random
    const size = random.below(5) === 0 ? random.below(this.#heap.u8.length) : random.below(300)
    const pointers = [...this.#live.keys()]
    const pointer = pointers.length === 0 ? 0 : random.of(pointers)
    const malloc = (): void => this.#allocate('malloc', size, heap => heap.malloc(size))
    const realloc = (): void => this.#realloc(pointer, size)
    const free = (): void => this.#free(pointer)
    const call = random.of([
      malloc,
      malloc,
      malloc,
      () => this.#allocate('calloc', size, heap => heap.calloc(1, size)),
      () =>
        this.#allocate('alignedAlloc', size, heap => heap.alignedAlloc(2 ** random.below(8), size)),
      () => this.#view('alloc', size, heap => heap.alloc(size)),
      () => this.#view('allocArray', size * 4, heap => heap.allocArray(Int32Array, size)),
      realloc,
      realloc,
      free,
      free,
      free,
      () => this.#look()
    ])
    call()
  }

  #allocate(name: string, size: number, call: (heap: Heap) => number): void {
    const pointer = this.#call(`${name}(${size})`, () => call(this.#heap))
    if (pointer !== undefined) this.#gain(pointer, size)
  }

  #view(name: string, bytes: number, call: (heap: Heap) => NodeJS.ArrayBufferView): void {
    const view = this.#call(`${name} of ${bytes} bytes`, () => call(this.#heap))
    if (view === undefined) return
    if (view.byteLength !== bytes) this.#fail(`a view of ${view.byteLength} bytes`)
    this.#gain(view.byteOffset, bytes)
  }

  #realloc(pointer: number, size: number): void {
    const old = this.#live.get(pointer)
    const moved = this.#call(`realloc(${pointer}, ${size})`, () =>
      this.#heap.realloc(pointer, size)
    )
    // Freed or unchanged.
    if (moved === undefined || (moved === 0 && size > 0)) return
    this.#live.delete(pointer)
    const kept = old?.subarray(0, size)
    const isKept = this.#duty === 'unverified' || kept === undefined || this.#holds(moved, kept)
    if (!isKept) this.#fail(`the contents at ${moved} are not those from ${pointer}`)
    if (moved !== 0) this.#gain(moved, size)
  }

  #free(pointer: number): void {
    const freed = this.#call(`free(${pointer})`, () => {
      this.#heap.free(pointer)
      return true
    })
    if (freed === true) this.#live.delete(pointer)
    this.#verify()
  }

  /** Calls that inspect the heap and change no block. */
  #look(): void {
    const heap = this.#heap
    this.#call('stats()', () => heap.stats())
    this.#call('blocks()', () => [...heap.blocks()].length)
    this.#call('freeBlocks()', () => [...heap.freeBlocks()].length)
    this.#call('trim()', () => heap.trim())
    for (const [pointer, payload] of this.#live) {
      const size = this.#call(`usableSize(${pointer})`, () => heap.usableSize(pointer))
      const view = this.#call(`view(${pointer})`, () => heap.view(pointer))
      if (this.#duty === 'unverified') continue
      if (size !== undefined && size < payload.length) this.#fail(`${size} bytes`)
      if (view !== undefined && (view.byteOffset !== pointer || view.length !== size))
        this.#fail('another view')
    }
    if (this.#duty === 'sound') heap.check()
    else this.#call('check()', () => heap.check())
    this.#verify()
  }

  /** After a reset: what failed before works again. */
  #reset(): void {
    this.#call('reset()', () => this.#heap.reset())
    this.#live.clear()
    if (this.#duty === 'unverified') return
    this.#heap.check()
    if (this.#heap.stats().used !== 0) this.#fail('some blocks are left')
  }

  /** A pointer was returned for `size` bytes. */
  #gain(pointer: number, size: number): void {
    const end = pointer + size
    const { length } = this.#heap.u8
    if (!Number.isInteger(pointer) || pointer < 0 || pointer >= length)
      this.#fail(`pointer ${pointer}`)
    if (this.#duty === 'unverified' || pointer === 0) return
    if (end > length || pointer % 8 !== 0)
      this.#fail(`${size} bytes at ${pointer}, and the heap has ${length}`)
    for (const [other, payload] of this.#live) {
      if (pointer === other || (pointer < other + payload.length && other < end)) {
        this.#fail(
          `pointer ${pointer} for ${size} bytes, and ${payload.length} at ${other} are live`
        )
      }
    }
    this.#verify()
    this.#live.set(pointer, write(this.#heap, pointer, this.#random))
  }

  /** The result of a call; undefined if it threw a permitted error. */
  #call<Value>(name: string, call: () => Value): Value | undefined {
    this.#did = name
    try {
      return call()
    } catch (error) {
      if (!(error instanceof OffheapError))
        throw new Error(`${name} threw ${String(error)}`, { cause: error })
      if (error.code === 'ERR_OFFHEAP_OUT_OF_MEMORY') return undefined
      if (this.#duty === 'sound' || !CORRUPTION.has(error.code)) {
        throw new Error(`${name} threw ${error.message}`, { cause: error })
      }
      this.#verify()
      return undefined
    }
  }

  /** Every live payload contains what was written there. */
  #verify(): void {
    if (this.#duty === 'unverified') return
    for (const [pointer, payload] of this.#live) {
      if (!this.#holds(pointer, payload))
        this.#fail(`the payload at ${pointer} (${payload.length} bytes) was changed`)
    }
  }

  #holds(pointer: number, payload: Uint8Array): boolean {
    return this.#bytes.compare(payload, 0, payload.length, pointer, pointer + payload.length) === 0
  }

  #fail(what: string): never {
    throw new Error(`${this.#did}: ${what}`)
  }
}
