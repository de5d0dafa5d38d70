/** The events that offheap publishes through diagnostics_channel and NODE_DEBUG. */
import { afterEach, describe, expect, test } from 'vitest'
import { Heap, Region } from '../../lib/index.js'
import { compile } from './compiled.js'
import { listen, stopListening } from './told.js'

afterEach(stopListening)

describe('events', () => {
  test('are published once each when a region is mapped and closed', () => {
    const told = listen()
    const region = Region.map(10_000)
    const size = region.byteLength
    region.close()
    region.close()
    expect(told).toEqual([
      { name: 'map', message: { region, size } },
      { name: 'close', message: { region, size } }
    ])
  })

  test('are published when a heap grows by a MiB, is trimmed, and runs out of memory', () => {
    const heap = Heap.map(8 * 2 ** 20)
    const told = listen()
    const big = heap.malloc(3 * 2 ** 20)
    heap.u8.fill(1, big, big + 3 * 2 ** 20)
    heap.malloc(100)
    heap.free(big)
    const bytes = heap.trim()
    expect(heap.malloc(2 ** 23)).toBe(0)
    expect(() => heap.alloc(2 ** 24)).toThrow()
    expect(told).toEqual([
      { name: 'grow', message: { heap, highWater: expect.any(Number) } },
      { name: 'trim', message: { heap, bytes: expect.any(Number) } },
      { name: 'out-of-memory', message: { heap, requested: 2 ** 23 } },
      { name: 'out-of-memory', message: { heap, requested: 2 ** 24 } }
    ])
    expect(told[0]?.message.highWater).toBe(big - 4 + 3 * 2 ** 20 + 8 - (heap.stats().metadata - 4))
    expect(told[1]?.message.bytes).toBeGreaterThanOrEqual(bytes)
    heap.close()
  })

  test('are not published for small allocations or frees', () => {
    const heap = Heap.map(2 ** 20)
    const told = listen()
    const pointers = Array.from({ length: 100 }, () => heap.malloc(1000))
    for (const pointer of pointers) heap.free(pointer)
    expect(told).toEqual([])
    heap.close()
  })

  test.each([false, true])('include an error before it is thrown (hardened: %s)', hardened => {
    const heap = Heap.map({ size: 2 ** 20, hardened })
    const pointer = heap.malloc(10)
    heap.malloc(10)
    heap.free(pointer)
    const told = listen()
    let error: unknown
    try {
      heap.free(pointer)
    } catch (caught) {
      error = caught
    }
    expect(told).toEqual([{ name: 'fault', message: { heap, error } }])
    expect(error).toMatchObject({ code: 'ERR_OFFHEAP_DOUBLE_FREE' })
    stopListening()
    heap.close()
  })
})

test('events are written to stderr with NODE_DEBUG=offheap only', () => {
  const compiled = compile('heap')
  const program = `
    const heap = Heap.map(2 ** 20)
    heap.malloc(2 ** 21)
    heap.close()`
  const line = (text: string): string => String.raw`OFFHEAP \d+: ${text}\n`
  const lines = ['map size=1048576', 'out-of-memory requested=2097152', 'close size=1048576']
  try {
    expect(compiled.run(program, ['env', 'NODE_DEBUG=offheap']).stderr).toMatch(
      new RegExp(lines.map(line).join(''))
    )
    expect(compiled.run(program).stderr).toBe('')
  } finally {
    compiled.remove()
  }
})
