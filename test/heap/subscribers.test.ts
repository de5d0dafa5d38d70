/**
 * A subscriber to an event may make any call: allocate, free, resize, trim, close; and it may
 * throw. A random test makes such calls within every event, and compares each byte with what it
 * wrote and with the zeros of calloc.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, test } from 'vitest'
import { Heap, type HeapMapOptions, type HeapOptions, placements, Region } from '../../lib/index.js'
import { Random } from '../faults/random.js'
import { scaled } from '../runs.js'
import { errorOf } from './support.js'

const MiB = 2 ** 20
const KiB = 2 ** 10

const names = ['map', 'close', 'grow', 'trim', 'out-of-memory', 'fault'] as const
type Name = (typeof names)[number]

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** Calls `listener` for each event of a channel until the test ends. */
function on(name: Name, listener: (message: unknown) => void): void {
  subscribe(`offheap:${name}`, listener)
  stops.push(() => unsubscribe(`offheap:${name}`, listener))
}

const kinds: [name: string, options: HeapOptions][] = [
  ...placements.flatMap<[string, HeapOptions]>(placement => [
    [placement, { placement, slabs: false }],
    [`${placement}, trimming`, { placement, slabs: false, trimThreshold: 64 * KiB }],
    [`${placement}, slabs`, { placement, slabs: true }],
    [`${placement}, slabs, trimming`, { placement, slabs: true, trimThreshold: 64 * KiB }],
    [`${placement}, hardened`, { placement, hardened: true }],
    [
      `${placement}, hardened, trimming`,
      { placement, hardened: true, trimThreshold: 64 * KiB, quarantine: 32 * KiB }
    ]
  ])
]

/** Whether every byte is `byte`. A run of equal bytes equals itself, shifted by one. */
function isAll(bytes: Uint8Array, byte: number): boolean {
  return (
    bytes.length === 0 ||
    (bytes[0] === byte && Buffer.compare(bytes.subarray(1), bytes.subarray(0, -1)) === 0)
  )
}

interface Block {
  readonly pointer: number
  readonly size: number
  readonly byte: number
}

/** Random calls on a heap whose every byte is known. */
class Drive {
  readonly heap: Heap
  readonly #blocks: Block[] = []
  readonly #random: Random
  #bytes = 0

  constructor(heap: Heap, seed: number) {
    this.heap = heap
    this.#random = new Random(seed)
  }

  #below(limit: number): number {
    return this.#random.below(limit)
  }

  #size(): number {
    const kind = this.#below(10)
    if (kind < 5) return this.#below(200)
    if (kind < 9) return this.#below(20_000)
    return this.#below(MiB)
  }

  step(): void {
    const kind = this.#below(20)
    if (kind < 6) this.#keep(size => this.heap.malloc(size))
    else if (kind < 9) this.#keep(size => this.heap.calloc(size, 1), true)
    else if (kind < 11) this.#keep(size => this.heap.alignedAlloc(2 ** this.#below(14), size))
    else if (kind < 14) this.#resize()
    else if (kind < 19) this.#free()
    else this.heap.trim()
  }

  #keep(allocate: (size: number) => number, zero = false): void {
    const size = this.#size()
    this.#fill(allocate(size), size, zero)
  }

  #fill(pointer: number, size: number, zero: boolean): void {
    if (pointer === 0) return
    const bytes = this.heap.u8.subarray(pointer, pointer + size)
    if (zero && !isAll(bytes, 0)) throw new Error(`calloc(${size}, 1) at ${pointer} is not zero`)
    const byte = 1 + (this.#bytes++ % 250)
    bytes.fill(byte)
    this.#blocks.push({ pointer, size, byte })
  }

  #take(): Block | undefined {
    const block = this.#blocks.splice(this.#below(this.#blocks.length), 1)[0]
    if (block !== undefined) this.#compare(block, block.pointer, block.size)
    return block
  }

  #compare({ size, byte }: Block, pointer: number, length: number): void {
    const bytes = this.heap.u8.subarray(pointer, pointer + Math.min(size, length))
    if (isAll(bytes, byte)) return
    const wrong = bytes.findIndex(found => found !== byte)
    throw new Error(
      `byte ${wrong} of the ${size} bytes at ${pointer} is ${bytes[wrong]}, not ${byte}`
    )
  }

  #resize(): void {
    const block = this.#take()
    if (block === undefined) return
    const size = 1 + this.#size()
    const pointer = this.heap.realloc(block.pointer, size)
    if (pointer === 0) {
      this.#blocks.push(block)
      return
    }
    this.#compare(block, pointer, size)
    this.#fill(pointer, size, false)
  }

  #free(): void {
    const block = this.#take()
    if (block !== undefined) this.heap.free(block.pointer)
  }

  /** Frees blocks until the heap is half empty, so that it fills again and again. */
  drain(): void {
    for (let left = this.#blocks.length / 2; left > 0; left--) this.#free()
  }

  check(): void {
    this.heap.check()
    for (const block of this.#blocks) this.#compare(block, block.pointer, block.size)
  }
}

describe.each(kinds)('a heap with subscribers that use it: %s', (_, options) => {
  test('stays consistent, keeps every byte, and clears memory for calloc', () => {
    for (let seed = 1; seed <= Math.max(1, scaled(1)); seed++) {
      using heap = Heap.map({ size: 3 * MiB, ...options })
      const drive = new Drive(heap, seed)
      let events = 0
      let depth = 0
      const problems: unknown[] = []
      for (const name of ['grow', 'trim', 'out-of-memory'] as const) {
        on(name, () => {
          events++
          if (depth === 3) return
          depth++
          try {
            // Node would report an error that is thrown here outside the test.
            heap.check()
            for (let i = 0; i < 6; i++) drive.step()
          } catch (error) {
            problems.push(error)
          }
          depth--
        })
      }
      for (let i = 0; i < 300 && problems.length === 0; i++) {
        drive.step()
        if (i % 20 === 0) drive.check()
        if (i % 50 === 49) drive.drain()
      }
      for (const stop of stops.splice(0)) stop()
      expect(problems).toEqual([])
      expect(events).toBeGreaterThan(10)
      drive.check()
    }
  })

  test('publishes growth once the new block is complete', () => {
    using heap = Heap.map({ size: 8 * MiB, ...options })
    const left = heap.malloc(1000)
    const seen: unknown[] = []
    on('grow', () => {
      heap.free(left)
      seen.push([...heap.blocks()].filter(({ used }) => used).length)
      heap.check()
    })
    const block = heap.malloc(2 * MiB)
    expect(heap.owns(block)).toBe(true)
    expect(seen).toEqual([1])
    heap.check()
  })
})

// Placements differ in where they search, not in when a call is complete.
const fewKinds = kinds.filter(
  ([name]) => name.startsWith('first-fit') || name === 'segregated-fit, slabs'
)

describe.each(fewKinds)('close() by a subscriber: %s', (_, options) => {
  /** Calls each of which publishes an event. */
  const calls: [call: string, run: (heap: Heap, large: number) => unknown][] = [
    ['malloc that grows the heap', heap => heap.malloc(2 * MiB)],
    ['calloc that grows the heap', heap => heap.calloc(2 * MiB, 1)],
    ['alignedAlloc that grows the heap', heap => heap.alignedAlloc(4096, 2 * MiB)],
    ['realloc that grows the heap in place', (heap, large) => heap.realloc(large, 3 * MiB)],
    ['alloc', heap => heap.alloc(2 * MiB)],
    ['allocZeroed', heap => heap.allocZeroed(2 * MiB)],
    ['allocBuffer', heap => heap.allocBuffer(2 * MiB)],
    ['allocArray', heap => heap.allocArray(Float64Array, MiB / 4)],
    ['malloc without room', heap => heap.malloc(64 * MiB)],
    ['calloc without room', heap => heap.calloc(64 * MiB, 1)],
    ['alignedAlloc without room', heap => heap.alignedAlloc(64, 64 * MiB)],
    ['realloc without room', (heap, large) => heap.realloc(large, 64 * MiB)],
    ['alloc without room', heap => heap.alloc(64 * MiB)],
    ['allocArray without room', heap => heap.allocArray(Float64Array, 64 * MiB)],
    ['free of a wrong pointer', (heap, large) => heap.free(large + 8)],
    ['realloc of a wrong pointer', (heap, large) => heap.realloc(large + 8, 100)],
    ['view of a wrong pointer', (heap, large) => heap.view(large + 8)],
    ['root set to a wrong pointer', (heap, large) => (heap.root = large + 8)],
    ['trim', heap => heap.trim()],
    ['free that trims', (heap, large) => heap.free(large)],
    ['realloc that trims', (heap, large) => heap.realloc(large, 100)]
  ]

  test.each(calls)('%s ends with a value or an error with a code', (call, run) => {
    using heap = Heap.map({ size: 8 * MiB, ...options })
    const large = heap.malloc(MiB / 2)
    heap.u8.fill(1, large, large + MiB / 2)
    for (const name of names) on(name, () => heap.close())
    try {
      run(heap, large)
    } catch (error) {
      expect(error).toHaveProperty('code')
    }
    const publishes = !/that trims/.test(call) || options.trimThreshold !== undefined
    expect(heap.closed).toBe(publishes)
  })
})

describe.each(fewKinds)(
  'a grow event of calloc, over memory that was used before: %s',
  (_, options) => {
    function used(): Heap {
      const heap = Heap.map({ size: 8 * MiB, ...options })
      const block = heap.malloc(4 * MiB)
      heap.u8.fill(0xee, block, block + 4 * MiB)
      heap.reset()
      return heap
    }

    test('is published once the block is zero', () => {
      using heap = used()
      let zero = 0
      on('grow', () => {
        for (const block of heap.blocks()) {
          if (block.used && isAll(heap.u8.subarray(block.pointer, block.pointer + 2 * MiB), 0))
            zero++
        }
      })
      heap.calloc(2 * MiB, 1)
      expect(zero).toBe(1)
    })

    test('may close the heap', () => {
      using heap = used()
      on('grow', () => heap.close())
      expect(heap.calloc(2 * MiB, 1)).toBeGreaterThan(0)
      expect(heap.closed).toBe(true)
    })
  }
)

describe('Heap.map', () => {
  test.each([{}, { hardened: true }, { slabs: true }])(
    'publishes the new region once its heap is complete: %j',
    more => {
      const options: HeapMapOptions = { size: MiB, ...more }
      const heaps: Heap[] = []
      on('map', message => {
        if (typeof message !== 'object' || message === null || !('region' in message)) return
        if (!(message.region instanceof Region)) return
        const heap = Heap.attach(message.region)
        const pointer = heap.malloc(1000)
        heap.u8.fill(0xff, pointer, pointer + 1000)
        heaps.push(heap)
      })
      using heap = Heap.map(options)
      expect(heaps).toHaveLength(1)
      heap.check()
      expect(heap.stats().blocks).toBe(1)
      const pointer = heap.calloc(MiB / 4, 1)
      expect(heap.u8.subarray(pointer, pointer + MiB / 4).every(byte => byte === 0)).toBe(true)
    }
  )

  test('returns a closed heap if a subscriber closed its region', () => {
    on('map', message => {
      if (
        typeof message === 'object' &&
        message !== null &&
        'region' in message &&
        message.region instanceof Region
      )
        message.region.close()
    })
    expect(Heap.map(MiB).closed).toBe(true)
  })
})

describe('close()', () => {
  test('publishes once the heap is closed; closing it there again does nothing', () => {
    const heap = Heap.map(MiB)
    const seen: unknown[] = []
    on('close', () => {
      heap.close()
      seen.push(heap.closed, heap.u8.length)
    })
    heap.close()
    expect(seen).toEqual([true, 0])
  })

  test('reports leaks once, after everything is closed', () => {
    const seen: unknown[] = []
    const heap: Heap = Heap.map({
      size: MiB,
      hardened: true,
      trackAllocations: true,
      onLeaks: leaks => {
        seen.push(leaks.length, heap.closed, heap.u8.length)
        heap.close()
      }
    })
    heap.malloc(100)
    on('close', () => heap.close())
    heap.close()
    expect(seen).toEqual([1, true, 0])
  })

  test('completes even if onLeaks throws', () => {
    const onLeaks = () => {
      throw new Error('leaks!')
    }
    const heap = Heap.map({ size: MiB, hardened: true, trackAllocations: true, onLeaks })
    heap.malloc(100)
    const told: unknown[] = []
    on('close', () => told.push('close'))
    expect(() => heap.close()).toThrow('leaks!')
    expect(told).toEqual(['close'])
    expect(heap.closed).toBe(true)
    heap.close()
  })
})

describe('a subscriber that throws', () => {
  /**
   * The uncaught exceptions until the next turn of the event loop, in place of the test runner's
   * own handling.
   */
  async function uncaught(action: () => void): Promise<unknown[]> {
    const errors: unknown[] = []
    const others = process.rawListeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', error => errors.push(error))
    try {
      action()
      await new Promise(resolve => setImmediate(resolve))
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const other of others)
        process.on('uncaughtException', error => other(error, 'uncaughtException'))
    }
    return errors
  }

  test.each(fewKinds)(
    'affects neither the operation nor other subscribers: %s',
    async (_, options) => {
      const heap = Heap.map({ size: 8 * MiB, ...options })
      const heard: string[] = []
      const errors = await uncaught(() => {
        for (const name of names) {
          on(name, () => {
            throw new Error(name)
          })
          on(name, () => heard.push(name))
        }
        const large = heap.malloc(2 * MiB)
        expect(heap.owns(large)).toBe(true)
        expect(heap.malloc(64 * MiB)).toBe(0)
        expect(errorOf(() => heap.free(large + 8)).code).toBe('ERR_OFFHEAP_INVALID_POINTER')
        heap.malloc(100)
        heap.free(large)
        heap.trim()
        heap.check()
        heap.close()
      })
      expect(heard).toEqual(
        expect.arrayContaining(['grow', 'out-of-memory', 'fault', 'trim', 'close'])
      )
      expect(errors.map(String)).toEqual(heard.map(name => `Error: ${name}`))
      expect(heap.closed).toBe(true)
    }
  )
})

test('a subscriber cannot change an event for the next one', () => {
  const heap = Heap.format(new ArrayBuffer(65536))
  const seen: unknown[] = []
  on('out-of-memory', message => seen.push(Object.isFrozen(message)))
  heap.malloc(65536)
  expect(seen).toEqual([true])
})
