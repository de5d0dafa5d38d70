/**
 * Drives a heap with a sequence of calls (steps.ts) and compares everything visible with the
 * expected state: after every step on small heaps, from time to time on large ones. There are two
 * kinds of expectations:
 *
 * - exact: the slow model makes the same calls, and predicts each pointer, each block and each
 *   total. - not exact, for heaps whose pointers no simple model predicts: what every heap
 *   guarantees. No two live blocks overlap, none loses a byte, `blocks()` lists them and no others
 *   as used, `largestFree` is what can be had, wrong pointers are refused.
 *
 * A sequence that fails is shrunk by fast-check and printed as a program.
 */
import { Heap, type HeapOptions, OffheapError, Region } from '../../lib/index.js'
import { QuarantineModel } from '../hardened/quarantine-model.js'
import { type Choice, Model } from '../model.js'
import { choiceOf } from '../placement/choices.js'
import { audit } from './audit.js'
import { type Live, same } from './live.js'
import type { Step } from './steps.js'
import { firstChanged, firstNotZero, write } from './tape.js'

export interface How {
  /** A rule instead of the placement's own. */
  readonly choose?: () => Choice
  /** Whether each pointer must be that of the model. Default: true. */
  readonly exact?: boolean
}

/**
 * Heaps up to this many bytes are compared after every step; larger ones less often, and checked
 * more often.
 */
const TINY = 2 ** 11
const INTERVAL = 16
/** Heaps up to this many bytes are checked after every step. */
const LITTLE = 2 ** 13
/** In heaps up to this many bytes, each payload is written in full. */
const SMALL = 2 ** 16
/**
 * In heaps of more bytes than this, no step writes more than MOST: memory is mapped, and stays
 * untouched.
 */
const LARGE = 2 ** 26
const MOST = 2 ** 20
const PAGE = 4096
/** Heaps up to this many bytes are copied. */
const COPIED = 2 ** 21
/** The bytes after a heap in its memory, which must not change. */
const FOREIGN = Buffer.alloc(2 * PAGE, 0xa5)

/**
 * Runs the steps on a new heap: in `memory`, or mapped with that many bytes. At the first
 * difference, throws an error with the steps as a program.
 */
export function drive(
  memory: ArrayBufferLike | Region | number,
  sequence: readonly Step[],
  options: HeapOptions,
  how: How = {}
): void {
  const driver = new Driver(memory, options, how)
  try {
    driver.run(sequence)
  } finally {
    driver.close()
  }
}

class Driver {
  readonly options: HeapOptions
  readonly choose: () => Choice
  readonly size: number
  readonly model: Model | undefined
  /** Heaps on the same memory; the first owns it, if any does. */
  heaps: Heap<ArrayBufferLike>[]
  memory: ArrayBufferLike | Region
  /** What must be closed at the end. */
  owned: Disposable | undefined
  live: Live[] = []
  /** Freed pointers. */
  stale: number[] = []
  root = 0
  readonly program: string[]
  turn = 0
  names = 0

  constructor(
    memory: ArrayBufferLike | Region | number,
    options: HeapOptions,
    { choose, exact = true }: How
  ) {
    this.options = options
    const heap =
      typeof memory === 'number'
        ? Heap.map({ size: memory, ...options })
        : Heap.format(memory, options)
    this.heaps = [heap]
    this.memory = typeof memory === 'number' ? heap.buffer : memory
    this.owned = typeof memory === 'number' ? heap : undefined
    this.size = heap.stats().size
    this.choose = choose ?? (() => choiceOf(heap.placement, this.size, options.hardened))
    // No simple model predicts which slot a request gets.
    const isExact = exact && !(options.slabs ?? options.placement === 'segregated-fit')
    this.model = isExact ? this.newModel(heap) : undefined
    this.program = [`let heap = ${creation(memory, options)}`]
    this.bytesBehind().set(FOREIGN.subarray(0, this.bytesBehind().length))
  }

  private newModel(heap: Heap<ArrayBufferLike>): Model {
    const { options } = this
    const { size, top, wilderness } = heap.stats()
    const end = top + wilderness
    if (options.hardened) {
      return new QuarantineModel(
        top,
        end,
        size,
        options.quarantine ?? Math.floor(size / 256) * 16,
        this.choose()
      )
    }
    return new Model(top, end, this.choose())
  }

  get heap(): Heap<ArrayBufferLike> {
    return this.heaps[this.turn % this.heaps.length]
  }

  get isSmall(): boolean {
    return this.size <= SMALL
  }

  /** After every step in heaps of up to `bytes` bytes; less often in larger ones. */
  private isDue(bytes: number, interval: number): boolean {
    return this.size <= bytes || this.turn % interval === 0
  }

  close(): void {
    this.owned?.[Symbol.dispose]()
  }

  run(sequence: readonly Step[]): void {
    try {
      for (const step of sequence) {
        this.turn++
        this.step(step)
        if (this.size <= SMALL && this.isDue(LITTLE, 4)) this.heap.check()
        if (this.size <= LARGE && this.isDue(TINY, INTERVAL)) this.compare()
      }
      this.heap.check()
      this.compare()
      if (this.options.trackAllocations) this.compareLeaks()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(
        `${why}\nIn a ${this.heap.placement} heap, at the end of:\n${this.program.join('\n')}\n`,
        {
          cause: error
        }
      )
    }
  }

  private step(step: Step): void {
    const { kind, which } = step
    if (kind === 'malloc' || kind === 'calloc' || kind === 'aligned') this.allocate(step)
    else if (kind === 'trim') this.trim()
    else if (kind === 'reset') this.reset()
    else if (kind === 'attach') this.attach()
    else if (kind === 'copy') this.copy(which)
    else if (kind === 'root') this.setRoot(which)
    else if (this.live.length === 0) return
    else if (kind === 'realloc') this.reallocate(step)
    else if (kind === 'free') this.free(which)
    else this.misuse(which)
  }

  // ---- blocks -----------------------------------------------------------------------------------

  private allocate(step: Step): void {
    const { kind, alignment } = step
    const size = this.bytesOf(step)
    const heap = this.heap
    const name = `p${this.names++}`
    const largest = this.largestFree(step)
    let pointer = 0
    if (kind === 'malloc') {
      this.note(`const ${name} = heap.malloc(${size})`)
      pointer = this.expected(heap.malloc(size), this.model?.malloc(size))
    } else if (kind === 'calloc') {
      this.note(`const ${name} = heap.calloc(${size}, 1)`)
      pointer = this.expected(heap.calloc(size, 1), this.model?.calloc(size, 1))
      const dirty = pointer === 0 ? -1 : firstNotZero(heap.u8, pointer, size)
      if (dirty !== -1)
        throw new Error(`byte ${dirty} of ${size} from calloc is ${heap.u8[pointer + dirty]}`)
    } else {
      this.note(`const ${name} = heap.alignedAlloc(${alignment}, ${size})`)
      pointer = this.expected(
        heap.alignedAlloc(alignment, size),
        this.model?.alignedAlloc(alignment, size)
      )
      same(`${pointer} modulo ${alignment}`, pointer % alignment, 0)
    }
    const mayFail = kind === 'aligned' || largest === 0
    if (largest !== undefined && (pointer === 0 ? size <= largest && !mayFail : size > largest)) {
      throw new Error(`${kind} returns ${pointer} for ${size} bytes, and largestFree is ${largest}`)
    }
    if (pointer !== 0) this.add(pointer, size, name)
  }

  private reallocate(step: Step): void {
    const block = this.take(step.which)
    const size = this.bytesOf(step, block)
    const largest = this.largestFree(step)
    const name = `p${this.names++}`
    this.note(`const ${name} = heap.realloc(${block.name}, ${size})`)
    const pointer = this.expected(
      this.heap.realloc(block.pointer, size),
      this.model?.realloc(block.pointer, size)
    )
    if (pointer !== 0) {
      this.read({ ...block, pointer }, Math.min(size, block.usable))
      if (pointer !== block.pointer) this.forget(block.pointer)
      this.add(pointer, size, name)
    } else if (size === 0) {
      this.forget(block.pointer)
    } else {
      if (largest !== undefined && size <= largest) {
        throw new Error(`realloc returns 0 for ${size} bytes, and largestFree is ${largest}`)
      }
      this.read(block)
      this.live.push(block)
    }
  }

  private free(which: number): void {
    const block = this.take(which)
    const byView = which % 8 === 7
    this.note(byView ? `heap.free(heap.view(${block.name}))` : `heap.free(${block.name})`)
    this.read(block)
    this.heap.free(byView ? this.heap.view(block.pointer) : block.pointer)
    this.model?.free(block.pointer)
    this.forget(block.pointer)
    same(`owns(${block.pointer}), which was given back,`, this.heap.owns(block.pointer), false)
  }

  /**
   * Calls with a wrong pointer, and expects the error. The next comparison shows that nothing
   * changed.
   */
  private misuse(which: number): void {
    const { heap } = this
    const block = this.live[which % this.live.length]
    const stale = this.stale[which % this.stale.length] ?? block.pointer + 1
    const inside = block.pointer + 8 * ((which >>> 8) % Math.max(1, Math.floor(block.usable / 8)))
    const pointer = [stale, inside, block.pointer + 4][which % 3]
    if (this.live.some(other => other.pointer === pointer)) return
    // Except in hardened heaps and slabs, an odd word before a pointer may look like the header of
    // a used block.
    if (heap.owns(pointer) && !this.options.hardened && heap.u32[pointer / 4 - 1] % 2 === 1) return
    same(`owns(${pointer}), where no block begins,`, heap.owns(pointer), false)
    const calls: [string, () => unknown][] = [
      ['free', () => heap.free(pointer)],
      ['realloc', () => heap.realloc(pointer, 40)],
      ['usableSize', () => heap.usableSize(pointer)],
      ['view', () => heap.view(pointer)]
    ]
    const [name, call] = calls[(which >>> 4) % calls.length]
    const code = codeOf(call)
    if (code === 'ERR_OFFHEAP_INVALID_POINTER' || code === 'ERR_OFFHEAP_DOUBLE_FREE') return
    this.note(`heap.${name}(${pointer})`)
    throw new Error(`${name}(${pointer}), where no block begins, ends in ${code}`)
  }

  /** Adds a block that was just allocated. */
  private add(pointer: number, size: number, name: string): void {
    const { heap, model } = this
    const usable = heap.usableSize(pointer)
    if (model === undefined)
      same(`usableSize(${pointer}) for ${size} bytes, ${usable},`, usable >= size, true)
    else
      same(
        `usableSize(${pointer})`,
        usable,
        this.options.hardened ? size : model.usableSize(pointer)
      )
    same(`owns(${pointer})`, heap.owns(pointer), true)
    same(`${pointer} modulo 8`, pointer % 8, 0)
    for (const other of this.live) {
      if (pointer < other.pointer + other.usable && other.pointer < pointer + usable) {
        throw new Error(
          `${usable} bytes at ${pointer} overlap with ${other.usable} at ${other.pointer}`
        )
      }
    }
    const seed = this.turn * 7 + pointer / 8
    write(heap.u8, pointer, usable, seed, this.isSmall)
    this.live.push({ pointer, size, usable, seed, name })
  }

  /** The first `kept` bytes of a block are what was written. */
  private read({ pointer, usable, seed }: Live, kept = usable): void {
    const changed = firstChanged(this.heap.u8, pointer, usable, kept, seed, this.isSmall)
    if (changed !== -1) throw new Error(`byte ${changed} of the ${kept} at ${pointer} was changed`)
  }

  /** Removes one of the live blocks and returns it. */
  private take(which: number): Live {
    return this.live.splice(which % this.live.length, 1)[0]
  }

  private forget(pointer: number): void {
    this.stale.push(pointer)
    if (this.stale.length > 32) this.stale.shift()
  }

  // ---- sizes ------------------------------------------------------------------------------------

  /** The bytes that a step requests; in a large heap, few enough that no step writes gigabytes. */
  private bytesOf({ kind, size: wanted }: Step, block?: Live): number {
    const size = Math.max(
      0,
      typeof wanted === 'number' ? wanted : this.bound(wanted.of, block) + wanted.bytes
    )
    if (this.size <= LARGE || size > this.size) return size
    // Its payload would be cleared, copied or filled.
    const isWritten =
      kind === 'calloc' || this.options.hardened || (block !== undefined && block.usable > MOST)
    return isWritten ? size % MOST : size
  }

  private bound(of: 'largest' | 'heap' | 'page' | 'block', block?: Live): number {
    if (of === 'heap') return this.size
    if (of === 'block' && block !== undefined) return block.usable
    if (of === 'largest') return this.model?.largestFree() ?? this.heap.stats().largestFree
    const top = this.model?.top ?? this.heap.stats().top
    return 2 * PAGE - (top % PAGE) - 4
  }

  /** The largest possible malloc, if no model predicts it, and it takes little time to find. */
  private largestFree({ size }: Step): number | undefined {
    const asks = this.model === undefined && (this.isSmall || typeof size !== 'number')
    return asks ? this.heap.stats().largestFree : undefined
  }

  // ---- the heap as a whole ----------------------------------------------------------------------

  private trim(): void {
    this.note('heap.trim()')
    this.heap.trim()
  }

  private reset(): void {
    this.note('heap.reset()')
    this.heap.reset()
    this.model?.reset(this.choose())
    this.live = []
    this.stale = []
    this.root = 0
  }

  /**
   * Another Heap on the same memory. Not of a heap that keeps stacks: the other one would not know
   * them.
   */
  private attach(): void {
    if (this.options.trackAllocations || this.size > LARGE) return
    this.note('Heap.attach(memory)')
    this.heaps.push(Heap.attach(this.memory))
    if (this.heaps.length > 3) this.heaps.splice(1, 1)
  }

  /**
   * Continues with a copy of the memory, in a buffer or a region that may be larger. The old memory
   * is not used any more.
   */
  private copy(which: number): void {
    if (this.options.trackAllocations || this.size > COPIED) return
    this.note('heap = Heap.attach(copy of memory)')
    const old = new Uint8Array(this.bytes(), 0, this.size)
    const more = which % 2 === 0 ? 0 : 200 + PAGE
    const memory =
      which % 3 === 0 ? new ArrayBuffer(this.size + more) : Region.map(this.size + more)
    new Uint8Array(memory instanceof Region ? memory.buffer : memory).set(old)
    old.fill(0xff)
    this.close()
    this.owned = memory instanceof Region ? memory : undefined
    this.memory = memory
    this.bytesBehind().set(FOREIGN.subarray(0, this.bytesBehind().length))
    this.heaps = [Heap.attach(memory)]
  }

  private setRoot(which: number): void {
    const block = which % 4 === 0 ? undefined : this.live[which % this.live.length]
    this.root = block?.pointer ?? 0
    this.note(`heap.root = ${block?.name ?? 0}`)
    this.heap.root = this.root
  }

  private bytes(): ArrayBufferLike {
    return this.memory instanceof Region ? this.memory.buffer : this.memory
  }

  /** The bytes after the heap in its memory. */
  private bytesBehind(): Uint8Array {
    const bytes = this.bytes()
    return new Uint8Array(bytes, this.size, Math.min(bytes.byteLength - this.size, FOREIGN.length))
  }

  // ---- what must be -----------------------------------------------------------------------------

  private expected(pointer: number, right: number | undefined): number {
    if (right !== undefined) same('the pointer', pointer, right)
    return pointer
  }

  private compare(): void {
    const { heap, model, live, root } = this
    same('root', heap.root, root)
    audit(heap, live, model)
    for (const block of live) this.read(block)
    const behind = this.bytesBehind()
    if (FOREIGN.compare(behind, 0, behind.length, 0, behind.length) !== 0) {
      throw new Error('what lies behind the heap in its memory was changed')
    }
  }

  private compareLeaks(): void {
    const leaks = this.heap.leaks()
    const sum = (amounts: number[]): number => amounts.reduce((total, amount) => total + amount, 0)
    same('the blocks of all leaks', sum(leaks.map(({ count }) => count)), this.live.length)
    same(
      'the bytes of all leaks',
      sum(leaks.map(({ bytes }) => bytes)),
      sum(this.live.map(({ size }) => size))
    )
  }

  private note(line: string): void {
    this.program.push(line)
  }
}

/** How the heap was made, as a program says it. */
function creation(memory: ArrayBufferLike | Region | number, options: HeapOptions): string {
  if (typeof memory === 'number') return `Heap.map(${JSON.stringify({ size: memory, ...options })})`
  const kind =
    memory instanceof Region
      ? 'Region.map'
      : memory instanceof SharedArrayBuffer
        ? 'new SharedArrayBuffer'
        : 'new ArrayBuffer'
  return `Heap.format(${kind}(${memory.byteLength}), ${JSON.stringify(options)})`
}

function codeOf(call: () => unknown): string {
  try {
    call()
    return 'no error'
  } catch (error) {
    return error instanceof OffheapError ? error.code : String(error)
  }
}
