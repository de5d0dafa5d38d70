/** Stacks of allocations and frees, and the report of blocks that were not freed. */
import { describe, expect, test, vi } from 'vitest'
import { leakReport, Stacks } from '../../lib/hardened/stacks.js'
import { Heap, type Leak, OffheapError } from '../../lib/index.js'
import { errorOf, expectError, newHeap } from '../heap/support.js'

const tracked = { hardened: true, trackAllocations: true } as const

function allocateHere(heap: Heap, bytes: number): number {
  return heap.malloc(bytes)
}
function allocateThere(heap: Heap): Uint8Array {
  return heap.alloc(500)
}
function freeHere(heap: Heap, pointer: number): void {
  heap.free(pointer)
}

function blockOf(action: () => unknown): OffheapError['block'] {
  const error = errorOf(action)
  return error instanceof OffheapError ? error.block : undefined
}

describe('errors', () => {
  test('have the stacks where the block was allocated and freed', () => {
    const heap = Heap.format(new ArrayBuffer(65536), tracked)
    const pointer = allocateHere(heap, 40)
    freeHere(heap, pointer)
    const block = blockOf(() => heap.free(pointer))
    expect(block).toMatchObject({ pointer, size: 40 })
    expect(block?.allocated).toMatch(/^ +at allocateHere .*leaks\.test/)
    expect(block?.freed).toMatch(/^ +at freeHere .*leaks\.test/)
  })

  test('about a live block have only the stack of its allocation', () => {
    const heap = Heap.format(new ArrayBuffer(65536), tracked)
    const pointer = allocateHere(heap, 40)
    heap.u8[pointer + 40] ^= 1
    const block = blockOf(() => heap.free(pointer))
    expect(block?.allocated).toContain('allocateHere')
    expect(block).not.toHaveProperty('freed')
    expect(blockOf(() => heap.free(pointer + 8))?.allocated).toContain('allocateHere')
  })

  test('about a write after free have both stacks', () => {
    const heap = Heap.format(new ArrayBuffer(65536), tracked)
    const pointer = allocateHere(heap, 40)
    freeHere(heap, pointer)
    heap.u8[pointer] ^= 1
    const block = blockOf(() => heap.check())
    expect(block?.allocated).toContain('allocateHere')
    expect(block?.freed).toContain('freeHere')
  })

  test('have no stacks without trackAllocations', () => {
    const heap = Heap.format(new ArrayBuffer(65536), { hardened: true })
    const pointer = allocateHere(heap, 40)
    freeHere(heap, pointer)
    expect(blockOf(() => heap.free(pointer))).toEqual({ pointer, size: 40 })
  })

  test('have the stack of the realloc that moved the block', () => {
    const heap = Heap.format(new ArrayBuffer(65536), tracked)
    const pointer = allocateHere(heap, 40)
    heap.malloc(1)
    const moved = heap.realloc(pointer, 4000)
    expect(moved).not.toBe(pointer)
    expect(blockOf(() => heap.free(pointer))?.freed).toBeDefined()
    expect(heap.leaks().map(({ bytes }) => bytes)).toEqual([4000, 1])
  })
})

describe('the stacks of a heap', () => {
  test('are those of its own calls, not of another Heap object on the same memory', () => {
    const heap = Heap.format(new ArrayBuffer(65536), tracked)
    const other = Heap.attach(heap.buffer)
    const pointer = other.malloc(40)
    expect(heap.leaks()).toEqual([])
    freeHere(heap, pointer)
    expect(blockOf(() => heap.free(pointer))).toEqual({ pointer, size: 40 })
  })

  test('are dropped by reset', () => {
    const heap = Heap.format(new ArrayBuffer(65536), tracked)
    const pointer = allocateHere(heap, 40)
    freeHere(heap, pointer)
    heap.reset()
    const other = Heap.attach(heap.buffer)
    expect(other.malloc(40)).toBe(pointer)
    other.free(pointer)
    expect(blockOf(() => heap.free(pointer))).toEqual({ pointer, size: 40 })
  })

  test('are kept for the last 65,536 freed blocks', () => {
    const stacks = new Stacks()
    const here = 'at here'
    for (let i = 1; i <= 65_537; i++) {
      stacks.noteAllocated(i, 8, here)
      stacks.noteFreed(i, here)
    }
    expect(stacks.describe(1, 8)).toEqual({ pointer: 1, size: 8 })
    expect(stacks.describe(2, 8)).toHaveProperty('freed')
    expect(stacks.describe(65_537, 8)).toHaveProperty('freed')
  })

  test('are empty if there is no caller', () => {
    const stacks = new Stacks()
    stacks.noteAllocated(
      8,
      100,
      stacks.here(() => {})
    )
    expect(stacks.leaks()).toEqual([{ count: 1, bytes: 100, stack: '' }])
  })
})

test('a realloc without memory keeps its block among the leaks', () => {
  const heap = Heap.format(new ArrayBuffer(65536), tracked)
  const pointer = allocateHere(heap, 40)
  expect(heap.realloc(pointer, 2 ** 20)).toBe(0)
  expect(heap.leaks()).toMatchObject([{ count: 1, bytes: 40 }])
})

describe('leaks()', () => {
  test('are grouped by stack, the most bytes first', () => {
    const heap = Heap.format(new ArrayBuffer(65536), tracked)
    const pointers = Array.from({ length: 10 }, () => allocateHere(heap, 40))
    heap.free(pointers[3] ?? 0)
    allocateThere(heap)
    const [first, second, ...rest] = heap.leaks()
    expect(rest).toEqual([])
    expect(first).toMatchObject({ count: 1, bytes: 500 })
    expect(first?.stack).toContain('allocateThere')
    expect(second).toMatchObject({ count: 9, bytes: 360 })
    expect(second?.stack).toContain('allocateHere')
    heap.reset()
    expect(heap.leaks()).toEqual([])
  })

  test('throw without trackAllocations', () => {
    expectError(() => newHeap().leaks(), 'ERR_OFFHEAP_UNSUPPORTED', /trackAllocations: true/)
    expectError(
      () => Heap.format(new ArrayBuffer(65536), { hardened: true }).leaks(),
      'ERR_OFFHEAP_UNSUPPORTED'
    )
  })
})

test('the leak report shows the first twenty stacks, and the number of the others', () => {
  const leaks = Array.from({ length: 22 }, (_, i) => ({
    count: i + 1,
    bytes: 8,
    stack: `stack ${i}`
  }))
  expect(leakReport(leaks)).toMatch(/^176 bytes in 253 blocks were not freed/)
  expect(leakReport(leaks)).toMatch(/\nstack 19\nand 2 more stacks; leaks\(\) has all$/)
  expect(leakReport(leaks.slice(0, 20))).toMatch(/\nstack 19$/)
})

describe('close()', () => {
  test('warns once of blocks that were not freed', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const heap = Heap.map({ size: 2 ** 20, ...tracked })
    allocateHere(heap, 40)
    allocateThere(heap)
    heap.close()
    heap.close()
    expect(warn).toHaveBeenCalledTimes(1)
    const [text, options] = warn.mock.calls[0] ?? []
    expect(options).toEqual({ type: 'OffheapWarning', code: 'OFFHEAP_LEAK' })
    expect(text).toMatch(
      /^540 bytes in 2 blocks were not freed.*500 bytes in 1 block, allocated\n +at .*40 bytes/s
    )
    warn.mockClear()
    const clean = Heap.map({ size: 2 ** 20, ...tracked })
    clean.free(allocateHere(clean, 40))
    clean.close()
    Heap.map({ size: 2 ** 20, hardened: true }).close()
    expect(warn).not.toHaveBeenCalled()
    warn.mockRestore()
  })

  test('gives the leaks to onLeaks instead', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const reports: (readonly Leak[])[] = []
    {
      using heap = Heap.map({ size: 2 ** 20, ...tracked, onLeaks: leaks => reports.push(leaks) })
      allocateHere(heap, 40)
    }
    expect(reports).toHaveLength(1)
    expect(reports[0]).toMatchObject([{ count: 1, bytes: 40 }])
    expect(warn).not.toHaveBeenCalled()
    warn.mockRestore()
  })
})
