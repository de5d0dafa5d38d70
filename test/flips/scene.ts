/**
 * A small heap in use, whose bits are flipped one at a time. The caller knows which bytes are
 * payloads; every other byte of the heap is metadata or free memory.
 */
import { Heap, Region } from '../../lib/index.js'
import type { Random } from '../faults/random.js'
import type { Kind } from './kinds.js'

/**
 * The range around the ends of a block with its metadata: header and links before the payload, a
 * footer after it.
 */
const NEAR_BYTES = 24

/**
 * The history of the heap: none; blocks up to its end, none of them freed; or calls of every kind.
 */
export type History = 'new' | 'packed' | 'busy'

export class Scene {
  readonly memory: ArrayBuffer | Region
  /** The payloads of the live blocks, by pointer. */
  readonly live: ReadonlyMap<number, Uint8Array>
  /** The bytes outside payloads, with those first that are probably metadata. */
  readonly near: readonly number[]
  readonly far: readonly number[]
  readonly #bytes: Uint8Array
  readonly #saved: Uint8Array

  constructor({ options, bytes, mapped }: Kind, history: History, random: Random) {
    this.memory = mapped ? Region.map(bytes) : new ArrayBuffer(bytes)
    const heap = Heap.format(this.memory, options)
    this.live =
      history === 'new' ? new Map() : history === 'packed' ? pack(heap, random) : use(heap, random)
    this.#bytes = heap.u8
    this.#saved = heap.u8.slice()
    const { near, far } = withoutPayloads(heap, this.live)
    this.near = near
    this.far = far
  }

  /** Restores the heap and opens it again. */
  restored(): Heap {
    this.#bytes.set(this.#saved)
    return Heap.attach(this.memory)
  }

  /** Flips one bit of a byte. */
  flip(byte: number, bit: number): void {
    this.#bytes[byte] = (this.#bytes[byte] ?? 0) ^ (1 << bit)
  }

  close(): void {
    if (this.memory instanceof Region) this.memory.close()
  }
}

function pack(heap: Heap, random: Random): Map<number, Uint8Array> {
  const live = new Map<number, Uint8Array>()
  const most = heap.u8.length / 16
  for (;;) {
    const { largestFree } = heap.stats()
    const pointer = heap.malloc(Math.min(largestFree, random.between(most / 4, most)))
    if (pointer === 0) return live
    live.set(pointer, write(heap, pointer, random))
  }
}

/**
 * A short history: blocks of several sizes, a third of them zeroed, some freed, some moved; trim()
 * in between.
 */
function use(heap: Heap, random: Random): Map<number, Uint8Array> {
  const live = new Map<number, Uint8Array>()
  const most = heap.u8.length / 8
  for (let step = 0; step < 60; step++) {
    const choice = random.below(20)
    if (step === 45) heap.trim()
    if (live.size > 12 || (live.size > 4 && choice < 9)) {
      const pointer = random.of([...live.keys()])
      heap.free(pointer)
      live.delete(pointer)
    } else if (live.size > 4 && choice < 12) {
      const pointer = random.of([...live.keys()])
      const moved = heap.realloc(pointer, random.between(1, most))
      if (moved === 0) continue
      live.delete(pointer)
      live.set(moved, write(heap, moved, random))
    } else {
      const size = random.below(4) === 0 ? random.below(most) : random.below(80)
      const pointer = choice === 19 ? heap.alignedAlloc(64, size) : heap.malloc(size)
      if (pointer !== 0) live.set(pointer, write(heap, pointer, random))
    }
  }
  return live
}

/**
 * Fills a block with zeros, with words that look like headers, or with random bytes; returns a
 * copy. The headers are of blocks larger than the heap. Smaller ones could lead a walk that follows
 * a flipped size back to the end of a block, and check() would then find nothing wrong.
 */
export function write(heap: Heap, pointer: number, random: Random): Uint8Array {
  const payload = heap.u8.subarray(pointer, pointer + heap.usableSize(pointer))
  const sort = random.below(3)
  const likeHeader = [() => random.below(64) * 4 + 3, () => 0, () => 0, () => 0x10]
  for (let i = 0; i < payload.length; i++) {
    payload[i] = sort === 0 ? 0 : sort === 1 ? (likeHeader[i % 4]?.() ?? 0) : random.below(256)
  }
  return payload.slice()
}

function withoutPayloads(
  heap: Heap,
  live: ReadonlyMap<number, Uint8Array>
): { near: number[]; far: number[] } {
  const isPayload = new Uint8Array(heap.u8.length)
  for (const [pointer, { length }] of live) isPayload.fill(1, pointer, pointer + length)
  const isNear = new Uint8Array(heap.u8.length)
  let first = heap.u8.length
  for (const { offset, size } of heap.blocks()) {
    first = Math.min(first, offset)
    for (const end of [offset, offset + size])
      isNear.fill(1, Math.max(0, end - NEAR_BYTES), end + NEAR_BYTES)
  }
  isNear.fill(1, 0, first)
  const near: number[] = []
  const far: number[] = []
  for (let byte = 0; byte < isPayload.length; byte++) {
    if (isPayload[byte] === 0) (isNear[byte] === 1 ? near : far).push(byte)
  }
  return { near, far }
}
