/**
 * A busy heap to inject misuse into: blocks of many sizes, some freed and some of their memory
 * allocated again. It is restored byte by byte after each injection, so that none affects the next;
 * a Heap object has no state to restore.
 */

import {
  hardenedLayout,
  ledgerWords,
  pageWords,
  sealIndex,
  sealOrigin
} from '../../lib/hardened/layout.js'
import { Heap, type HeapOptions } from '../../lib/index.js'
import { HEADER_WORDS } from '../../lib/layout/header.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { NoPlace, type Random } from './random.js'

export const HEAP_BYTES = 65_536

export interface Block {
  readonly pointer: number
  /** The bytes that it can hold. */
  readonly size: number
}

export class Scene {
  readonly options: HeapOptions
  readonly heap: Heap
  /** For this injection alone. */
  random: Random
  /** The used blocks. Remove a block from the list to free it. */
  live: Block[] = []
  readonly #blocks: readonly Block[]
  readonly #bytes: Uint8Array

  constructor(options: HeapOptions, random: Random) {
    this.options = options
    this.random = random
    this.heap = Heap.format(new ArrayBuffer(HEAP_BYTES), options)
    for (let i = 0; i < 260; i++) this.step()
    this.#blocks = this.live
    this.#bytes = this.heap.u8.slice()
  }

  /** Restores the heap. */
  restore(random: Random): void {
    this.heap.u8.set(this.#bytes)
    this.live = [...this.#blocks]
    this.random = random
  }

  /** One call, as a program makes it. */
  step(): void {
    const { heap, random } = this
    if (this.live.length > 60 || (this.live.length > 10 && random.below(2) === 0))
      heap.free(this.take().pointer)
    else if (this.live.length > 10 && random.below(5) === 0) {
      const { pointer } = this.take()
      this.#add(heap.realloc(pointer, random.between(1, 300)))
    } else this.#add(heap.malloc(random.below(3) === 0 ? random.below(400) : random.below(64)))
  }

  #add(pointer: number): void {
    if (pointer === 0) return
    const size = this.heap.usableSize(pointer)
    for (let i = 0; i < size; i++) this.heap.u8[pointer + i] = this.random.below(256)
    this.live.push({ pointer, size })
  }

  /** Removes one of the used blocks from the list, for any use. */
  take(suits: (block: Block) => boolean = () => true): Block {
    const block = this.random.of(this.live.filter(suits))
    this.live.splice(this.live.indexOf(block), 1)
    return block
  }

  /** Allocates a block that is not in the list. */
  allocate(size: number): Block {
    const pointer = this.heap.malloc(size)
    if (pointer === 0) throw new NoPlace()
    return { pointer, size: this.heap.usableSize(pointer) }
  }

  /** Changes each byte from `begin` to below `end`. */
  spoil(begin: number, end: number): void {
    for (let at = begin; at < end; at++) this.spoilByte(at)
  }

  spoilByte(at: number): void {
    const byte = this.heap.u8[at]
    if (byte === undefined) throw new RangeError(`the heap has no byte ${at}`)
    this.heap.u8[at] = byte ^ this.random.between(1, 255)
  }

  /** What a program does next: frees its blocks, in any order. */
  finish(): void {
    while (this.live.length > 0) this.heap.free(this.take().pointer)
    this.heap.check()
  }
}

/**
 * The byte offset at which the metadata of a block begins: before the payload, or in the ledger.
 */
export function entryOf({ options }: Scene, pointer: number): number {
  return options.hardened ? pointer / 4 - 4 : pointer - 4
}

/**
 * The parts of a heap other than its header and its blocks, each from one byte offset to another.
 */
export interface Parts {
  readonly index: readonly [number, number]
  /** Hardened heaps only. The seals of blocks, and the notes about returned pages. */
  readonly seals: readonly [number, number]
  readonly notes: readonly [number, number]
}

export function partsOf({ options, heap }: Scene): Parts {
  const { placement = 'first-fit', hardened = false } = options
  const words = heap.i32.length
  const ledger = hardened ? ledgerWords(words) : words
  const index = HEADER_WORDS + policyNamed(placement).indexWords(ledger)
  if (!hardened) return { index: [HEADER_WORDS * 4, index * 4], seals: [0, 0], notes: [0, 0] }
  const { seals, givenBack, first } = hardenedLayout(words, index)
  const sealAt = (block: number): number => (seals + sealIndex(block - sealOrigin(ledger))) * 4
  return {
    index: [HEADER_WORDS * 4, index * 4],
    seals: [sealAt(first), sealAt(heap.stats().top / 16 - 1)],
    notes: [givenBack * 4, (givenBack + pageWords(words)) * 4]
  }
}
