import { describe, expect, it } from 'vitest'
import {
  fromTrace,
  leftovers,
  neededBytes,
  type Operations,
  peakLive,
  peakPayload
} from '../../bench/work/columns.js'
import type { Columns } from '../../bench/work/replay.js'
import { ALIGNED, CALLOC, FREE, MALLOC, REALLOC } from '../../bench/work/replay.js'
import { churn, fragmented, growth, pinning, randomSource } from '../../bench/work/synthetic.js'

type Operation = readonly [kind: number, id: number, size?: number, extra?: number]

function trace(operations: readonly Operation[]): Operations {
  return {
    name: 'test',
    length: operations.length,
    ids: 1 + Math.max(...operations.map(([, id]) => id)),
    kinds: Uint8Array.from(operations, ([kind]) => kind),
    idOf: Int32Array.from(operations, ([, id]) => id),
    sizes: Float64Array.from(operations, ([, , size = 0]) => size),
    extras: Float64Array.from(operations, ([, , , extra = 0]) => extra)
  }
}

/** Whether the slot is in the right state for every free and every malloc. */
function isConsistent({ kinds, slots, slotCount }: Columns): boolean {
  const live = new Set<number>()
  return kinds.every((kind, i) => {
    if (slots[i] >= slotCount - 1) return false
    if (kind === MALLOC) return !live.has(slots[i]) && live.add(slots[i]) !== undefined
    return kind === FREE ? live.delete(slots[i]) : live.has(slots[i])
  })
}

describe('random numbers', () => {
  it('are the same for the same seed, in range, and evenly distributed', () => {
    const [a, b, other] = [randomSource(7), randomSource(7), randomSource(8)]
    const first = Array.from({ length: 4000 }, () => a(10))
    expect(Array.from({ length: 4000 }, () => b(10))).toEqual(first)
    expect(Array.from({ length: 4000 }, () => other(10))).not.toEqual(first)
    for (let digit = 0; digit < 10; digit++) {
      const count = first.filter(value => value === digit).length
      expect(count).toBeGreaterThan(320)
      expect(count).toBeLessThan(480)
    }
  })
})

describe('churn', () => {
  it('is the same work every time', () => {
    expect(churn(100, 512, 1000)).toEqual(churn(100, 512, 1000))
    expect(churn(100, 512, 1000)).not.toEqual(churn(101, 512, 1000))
  })

  it('fills the heap first and then keeps the number of live blocks', () => {
    const columns = churn(100, 512, 1000)
    expect(columns.start).toBe(100)
    expect(columns.kinds.length).toBe(2100)
    expect(peakLive(columns)).toBe(100)
    expect(leftovers(columns).length).toBe(100)
    expect(isConsistent(columns)).toBe(true)
  })

  it('requests from 1 byte up to the largest size', () => {
    const { kinds, sizes } = churn(1000, 64, 10_000)
    const asked = new Set(sizes.filter((_, i) => kinds[i] === MALLOC))
    expect([...asked].sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i + 1))
  })
})

describe('churn between two sizes', () => {
  it('requests all of them and no other', () => {
    const { kinds, sizes } = churn(100, 12, 2000, 8)
    const asked = new Set(sizes.filter((_, i) => kinds[i] === MALLOC))
    expect([...asked].sort((a, b) => a - b)).toEqual([8, 9, 10, 11, 12])
  })
})

describe('pinning', () => {
  const columns = pinning(1000)

  it('keeps every 25th of the small blocks and fills the gaps of the others', () => {
    expect(isConsistent(columns)).toBe(true)
    expect(columns.kinds.filter(kind => kind === FREE).length).toBe(960)
    expect(columns.sizes.filter(size => size === 28).length).toBe(1000)
    // 24 blocks of 32 bytes, headers included, are replaced by 16 of 48.
    expect(columns.sizes.filter(size => size === 44).length).toBe(40 * 16)
  })

  it('needs the same memory before and after', () => {
    expect(neededBytes(columns)).toBe(1000 * 32)
    expect(neededBytes(pinning(25))).toBe(25 * 32)
  })
})

describe('fragmented', () => {
  it('leaves a hole beside every small block and churns larger ones', () => {
    const columns = fragmented(500, 1000)
    expect(isConsistent(columns)).toBe(true)
    expect(peakLive(columns)).toBe(1500)
    expect(leftovers(columns).length).toBe(1500)
    const timed = columns.sizes.subarray(columns.start)
    expect(Math.max(...timed)).toBeGreaterThan(64)
    expect(Math.max(...columns.sizes.subarray(0, 1000))).toBeLessThanOrEqual(64)
  })
})

describe('growth', () => {
  it('grows eight arrays and frees them', () => {
    const columns = growth(2)
    expect(isConsistent(columns)).toBe(true)
    expect(peakLive(columns)).toBe(8)
    expect(leftovers(columns).length).toBe(0)
    expect(peakPayload(columns)).toBeGreaterThan(8 * 2 ** 17)
  })
})

describe('a trace as columns', () => {
  const columns = fromTrace(
    trace([
      [MALLOC, 0, 100],
      [CALLOC, 1, 8, 3],
      [ALIGNED, 2, 10, 64],
      [REALLOC, 0, 300],
      [FREE, 1],
      [FREE, -1],
      [REALLOC, 2, 0]
    ])
  )

  it('gives free(NULL) a slot that is never allocated', () => {
    expect(columns.slotCount).toBe(4)
    expect([...columns.slots]).toEqual([0, 1, 2, 0, 1, 3, 2])
  })

  it('converts a realloc to 0 bytes to a free', () => {
    expect([...columns.kinds]).toEqual([MALLOC, CALLOC, ALIGNED, REALLOC, FREE, FREE, FREE])
  })

  it('knows the maximum of live blocks and bytes, and those at the end', () => {
    expect(peakLive(columns)).toBe(3)
    expect(peakPayload(columns)).toBe(300 + 24 + 10)
    expect([...leftovers(columns)]).toEqual([0])
    // 300 + 4 in multiples of 8, 24 + 4 likewise, 10 + 4 in a smallest block.
    expect(neededBytes(columns)).toBe(304 + 32 + 16)
  })

  it('rejects sizes that the columns cannot hold', () => {
    expect(() => fromTrace(trace([[MALLOC, 0, 2 ** 31]]))).toThrow(
      /operation 0 asks for 2147483648 bytes/
    )
  })
})
