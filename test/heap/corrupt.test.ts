/**
 * A heap whose bytes were overwritten at random: no call hangs, and each ends with a value or a
 * named error. Places and values are chosen so that links, sizes and counters are hit often.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Heap, OffheapError, placements, Region } from '../../lib/index.js'
import { startWatchdog, type Watchdog } from '../hang.js'
import { scaled } from '../runs.js'

const BYTES = 4096
const WORDS = BYTES / 4

/** A word that looks like a header, a link, a size or a counter; or any word. */
const junk = fc.oneof(
  fc.nat(WORDS + 8),
  fc.tuple(fc.nat(WORDS), fc.nat(3)).map(([size, flags]) => (size << 1) | flags),
  fc.constantFrom(0, -1, 1, 2, 3, 13, 2 ** 31 - 1, -(2 ** 31), 2 ** 30, 0x7ffffff8, 0x7ffffffb),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
)

type Call = readonly [name: string, run: (heap: Heap, pointer: number, size: number) => unknown]

const calls: readonly Call[] = [
  ['malloc', (heap, _, size) => heap.malloc(size)],
  ['calloc', (heap, _, size) => heap.calloc(size, 1)],
  ['realloc', (heap, pointer, size) => heap.realloc(pointer, size)],
  ['free', (heap, pointer) => heap.free(pointer)],
  ['alignedAlloc', (heap, _, size) => heap.alignedAlloc(2 ** (size % 12), size)],
  ['usableSize', (heap, pointer) => heap.usableSize(pointer)],
  ['owns', (heap, pointer) => heap.owns(pointer)],
  ['view', (heap, pointer) => heap.view(pointer)],
  ['alloc', (heap, _, size) => heap.alloc(size)],
  ['allocZeroed', (heap, _, size) => heap.allocZeroed(size)],
  ['allocBuffer', (heap, _, size) => heap.allocBuffer(size)],
  ['allocArray', (heap, _, size) => heap.allocArray(Float64Array, size)],
  ['root', heap => heap.root],
  ['root =', (heap, pointer) => (heap.root = pointer)],
  ['stats', heap => heap.stats()],
  ['blocks', heap => [...heap.blocks()]],
  ['check', heap => heap.check()],
  ['attach', heap => Heap.attach(heap.buffer)],
  ['trim', heap => heap.trim()],
  ['reset', heap => heap.reset()]
]

const damage = fc.array(
  fc.tuple(fc.oneof(fc.nat(47), fc.nat(WORDS - 1), fc.nat(WORDS - 1)), junk),
  {
    minLength: 1,
    maxLength: 12
  }
)

const work = fc.array(fc.tuple(fc.nat(calls.length - 1), fc.nat(300), fc.nat(600)), {
  minLength: 1,
  maxLength: 30
})

/** Allocates blocks of several sizes, and frees some; returns the pointers of all. */
function populate(heap: Heap): number[] {
  const pointers = [20, 40, 12, 100, 300, 12, 60, 200, 30, 12, 400, 50].map(size =>
    heap.malloc(size)
  )
  for (const pointer of pointers.filter((_, i) => i % 3 === 1)) heap.free(pointer)
  return pointers
}

function expectNamed(name: string, error: unknown): void {
  const isArgument = error instanceof RangeError || error instanceof TypeError
  const named =
    error instanceof OffheapError ||
    (isArgument &&
      'code' in error &&
      /^ERR_(OUT_OF_RANGE|INVALID_ARG_TYPE)$/.test(String(error.code)))
  if (!named) throw new Error(`${name} ended with ${String(error)}`, { cause: error })
}

function run(
  heap: Heap,
  words: readonly [number, number][],
  sequence: readonly [number, number, number][]
): void {
  watchdog.beat()
  const pointers = populate(heap)
  for (const [word, value] of words) heap.i32[word] = value
  for (const [which, at, size] of sequence) {
    const [name, action] = calls[which] ?? calls[0]
    const pointer = at % 2 === 0 ? (pointers[at % pointers.length] ?? 0) : at * 8
    try {
      action(heap, pointer, size)
    } catch (error) {
      expectNamed(name, error)
    }
  }
}

let watchdog: Watchdog
beforeAll(() => {
  watchdog = startWatchdog()
})
afterAll(() => watchdog.stop())

const kinds = placements.flatMap(placement => [
  { placement, slabs: false },
  { placement, slabs: true }
])

describe.each(kinds)('a $placement heap, slabs: $slabs, that was overwritten at random', kind => {
  test('ends every call with a value or a named error, in an ordinary buffer', () => {
    const buffer = new ArrayBuffer(BYTES)
    fc.assert(
      fc.property(damage, work, (words, sequence) => {
        new Uint8Array(buffer).fill(0)
        run(Heap.format(buffer, kind), words, sequence)
      }),
      { numRuns: scaled(2500) }
    )
  })

  test('ends every call with a value or a named error, in a region', () => {
    using region = Region.map(BYTES)
    fc.assert(
      fc.property(damage, work, (words, sequence) =>
        run(Heap.format(region, kind), words, sequence)
      ),
      { numRuns: scaled(1000) }
    )
    expect(region.closed).toBe(false)
  })

  test('ends every call with a value or a named error if every word is random', () => {
    const buffer = new ArrayBuffer(BYTES)
    fc.assert(
      fc.property(fc.array(junk, { minLength: 64, maxLength: 64 }), work, (pattern, sequence) => {
        const heap = Heap.format(buffer, kind)
        const words = Array.from({ length: WORDS }, (_, i): [number, number] => [
          i,
          pattern[(i * 7) % 64] ?? 0
        ])
        run(heap, words, sequence)
      }),
      { numRuns: scaled(250) }
    )
  })
})
