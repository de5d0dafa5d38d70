import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  createEvents,
  readEventsHeader,
  Translation,
  WINDOW_EVENTS
} from '../../lib/trace/events.js'

const MALLOC = 1
const CALLOC = 2
const ALIGNED = 3
const FREE = 4
const REALLOC_BEGIN = 5
const REALLOC_END = 6

type Event = readonly [kind: number, address: number, size?: number, extra?: number]

const P = 0x7f00_0000_1000
const Q = 0x7f00_0000_2000

function encode(events: readonly Event[]): Buffer {
  const bytes = Buffer.alloc(events.length * 24)
  events.forEach(([kind, address, size = 0, extra = 0], i) => {
    bytes.writeBigUInt64LE(BigInt(address) | BigInt(kind), i * 24)
    bytes.writeBigUInt64LE(BigInt(size), i * 24 + 8)
    bytes.writeBigUInt64LE(BigInt(extra), i * 24 + 16)
  })
  return bytes
}

function translate(...events: Event[]) {
  const translation = new Translation()
  const text = translation.translate(encode(events))
  return { lines: text.split('\n').slice(0, -1), translation }
}

describe('events become operations', () => {
  test('a reused address gets a new id', () => {
    const { lines, translation } = translate(
      [MALLOC, P, 10],
      [FREE, P],
      [CALLOC, P, 8, 4],
      [ALIGNED, Q, 7, 48]
    )
    expect(lines).toEqual(['a 0 10', 'f 0', 'c 1 4 8', 'm 2 64 7'])
    expect(translation).toMatchObject({
      operations: 4,
      ids: 3,
      aliveBlocks: 2,
      aliveBytes: 39,
      peakBytes: 39
    })
  })

  test('addresses that differ only in their highest bits are different', () => {
    const high = 2 ** 55
    const { lines } = translate(
      [MALLOC, high + 16, 1],
      [MALLOC, high + 32, 2],
      [FREE, high + 16],
      [FREE, high + 32]
    )
    expect(lines).toEqual(['a 0 1', 'a 1 2', 'f 0', 'f 1'])
  })

  test('addresses that differ only in one of their upper bits are different', () => {
    const low = 0x2345_6780
    const both = [2 ** 32 + low, 2 ** 33 + low] as const
    const { lines } = translate(
      [MALLOC, both[0], 1],
      [MALLOC, both[1], 2],
      [FREE, both[0]],
      [FREE, both[1]]
    )
    expect(lines).toEqual(['a 0 1', 'a 1 2', 'f 0', 'f 1'])
  })

  test('the space for a block includes header, padding and alignment', () => {
    expect(translate([MALLOC, P, 100]).translation.peakSpace).toBe(128)
    expect(translate([MALLOC, P, 112], [FREE, P], [MALLOC, P, 0]).translation.peakSpace).toBe(128)
    expect(translate([ALIGNED, P, 100, 64]).translation.peakSpace).toBe(192)
    expect(
      translate([MALLOC, P, 100], [MALLOC, Q, 20], [FREE, P], [MALLOC, P, 30]).translation.peakSpace
    ).toBe(176)
  })

  test('a block can have more than 4 GiB', () => {
    const { lines, translation } = translate([MALLOC, P, 5 * 2 ** 30])
    expect(lines).toEqual(['a 0 5368709120'])
    expect(translation.peakBytes).toBe(5 * 2 ** 30)
  })

  test('invalid events are skipped', () => {
    const { lines, translation } = translate([0, 0], [0, P, 8], [7, 0, 8], [7, P, 8, 16])
    expect(lines).toEqual([])
    expect(translation).toMatchObject({ failed: 0, ids: 0, aliveBlocks: 0 })
  })

  test('the end of a realloc of a block older than the recording starts a new block', () => {
    const refused = translate([REALLOC_BEGIN, P, 2 ** 50], [REALLOC_END, 0, 2 ** 50, 0])
    expect(refused.lines).toEqual([])
    expect(refused.translation).toMatchObject({ failed: 1, dropped: 1, aliveBlocks: 0 })
    const freed = translate([REALLOC_BEGIN, P, 0], [REALLOC_END, 0, 0, 0])
    expect(freed.lines).toEqual([])
    expect(freed.translation).toMatchObject({ failed: 0, dropped: 1, aliveBlocks: 0 })
  })

  test('a realloc releases its old address before it is complete', () => {
    const { lines, translation } = translate(
      [MALLOC, P, 10],
      [REALLOC_BEGIN, P, 100],
      [MALLOC, P, 20],
      [REALLOC_END, Q, 100, 1],
      [FREE, P],
      [FREE, Q]
    )
    expect(lines).toEqual(['a 0 10', 'a 1 20', 'r 0 100', 'f 1', 'f 0'])
    expect(translation).toMatchObject({ peakBytes: 120, aliveBlocks: 0, aliveBytes: 0, dropped: 0 })
  })

  test('pieces of a recording continue each other', () => {
    const translation = new Translation()
    translation.translate(
      encode([
        [MALLOC, P, 10],
        [0, 0],
        [REALLOC_BEGIN, P, 30]
      ])
    )
    expect(translation.aliveBlocks).toBe(1)
    expect(
      translation.translate(
        encode([
          [REALLOC_END, Q, 30, 2],
          [FREE, Q]
        ])
      )
    ).toBe('r 0 30\nf 0\n')
    expect(translation.translate(encode([[0, 0]]))).toBe('')
  })

  test('a refused realloc keeps the block, and refused requests are counted', () => {
    const { lines, translation } = translate(
      [MALLOC, P, 10],
      [MALLOC, 0, 2 ** 50],
      [CALLOC, 0, 2 ** 50, 2],
      [REALLOC_BEGIN, P, 2 ** 50],
      [REALLOC_END, 0, 2 ** 50, 3],
      [FREE, P]
    )
    expect(lines).toEqual(['a 0 10', 'f 0'])
    expect(translation).toMatchObject({ failed: 3, peakBytes: 10, dropped: 0 })
  })

  test('realloc(p, 0) frees, whatever the allocator returns', () => {
    const begin: Event = [REALLOC_BEGIN, P, 0]
    expect(translate([MALLOC, P, 10], begin, [REALLOC_END, 0, 0, 1]).lines).toEqual([
      'a 0 10',
      'f 0'
    ])
    const answered = translate([MALLOC, P, 10], begin, [REALLOC_END, Q, 0, 1], [FREE, Q])
    expect(answered.lines).toEqual(['a 0 10', 'f 0', 'a 1 0', 'f 1'])
    expect(answered.translation.failed).toBe(0)
  })

  test('blocks older than the recording: frees are dropped, a realloc begins a new block', () => {
    const { lines, translation } = translate(
      [FREE, P],
      [REALLOC_BEGIN, Q, 50],
      [REALLOC_END, P, 50, 1],
      [FREE, P]
    )
    expect(lines).toEqual(['a 0 50', 'f 0'])
    expect(translation).toMatchObject({ dropped: 2, ids: 1, operations: 2 })
  })

  test('a block in the middle of a realloc is alive if the program died', () => {
    const { translation } = translate([MALLOC, P, 10], [REALLOC_BEGIN, P, 50])
    expect(translation).toMatchObject({ aliveBlocks: 1, aliveBytes: 10, operations: 1 })
  })

  test('a block returned twice without a free was freed', () => {
    const { lines, translation } = translate([MALLOC, P, 10], [MALLOC, P, 20], [FREE, P])
    expect(lines).toEqual(['a 0 10', 'f 0', 'a 1 20', 'f 1'])
    expect(translation).toMatchObject({ peakBytes: 20, aliveBytes: 0 })
  })

  test('a block returned by realloc at the address of another one was freed', () => {
    const moved = translate(
      [MALLOC, P, 10],
      [MALLOC, Q, 20],
      [REALLOC_BEGIN, P, 30],
      [REALLOC_END, Q, 30, 2],
      [FREE, Q]
    )
    expect(moved.lines).toEqual(['a 0 10', 'a 1 20', 'f 1', 'r 0 30', 'f 0'])
    // Ten bytes grew to thirty after the twenty were freed.
    expect(moved.translation).toMatchObject({
      peakBytes: 30,
      aliveBlocks: 0,
      aliveBytes: 0,
      dropped: 0
    })
    const begun = translate(
      [REALLOC_BEGIN, P, 30],
      [MALLOC, Q, 20],
      [REALLOC_END, Q, 30, 0],
      [FREE, Q]
    )
    expect(begun.lines).toEqual(['a 0 20', 'f 0', 'a 1 30', 'f 1'])
    expect(begun.translation).toMatchObject({ aliveBlocks: 0, dropped: 1 })
    const emptied = translate(
      [MALLOC, P, 10],
      [MALLOC, Q, 20],
      [REALLOC_BEGIN, P, 0],
      [REALLOC_END, Q, 0, 2]
    )
    expect(emptied.lines).toEqual(['a 0 10', 'a 1 20', 'f 0', 'f 1', 'a 2 0'])
  })

  test('a block returned at the old address of a refused realloc was freed', () => {
    const { lines, translation } = translate(
      [MALLOC, P, 10],
      [REALLOC_BEGIN, P, 2 ** 50],
      [MALLOC, P, 20],
      [REALLOC_END, 0, 2 ** 50, 1],
      [FREE, P]
    )
    expect(lines).toEqual(['a 0 10', 'a 1 20', 'f 1', 'f 0'])
    expect(translation).toMatchObject({ failed: 1, aliveBlocks: 0, aliveBytes: 0 })
  })
})

test('a header that claims more events than its file has ends with the file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'offheap-events-'))
  try {
    const path = join(folder, 'events')
    await createEvents(path, 1)
    const file = await open(path, 'r+')
    const header = Buffer.alloc(72)
    header.writeBigUInt64LE(1n, 8)
    header.writeBigUInt64LE(2n ** 60n, 16)
    header.writeBigUInt64LE(2n ** 40n, 64)
    await file.write(header, 8, 64, 8)
    await file.close()
    expect(await readEventsHeader(path)).toEqual({
      attached: true,
      events: WINDOW_EVENTS,
      lost: 2 ** 40 - WINDOW_EVENTS
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
