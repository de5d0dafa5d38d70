import { describe, expect, it } from 'vitest'
import { type Verifiable, verify } from '../../bench/process/verify.js'
import { type Columns, fromTrace } from '../../bench/work/columns.js'
import { ALIGNED, freeAll, REALLOC, replay } from '../../bench/work/replay.js'
import { churn } from '../../bench/work/synthetic.js'

/** An allocator that never reuses anything, in an ArrayBuffer; `faults` replaces what is to be wrong. */
function bump(faults: Partial<Verifiable<number>['allocator']> = {}) {
  const memory = new Uint8Array(2 ** 22)
  const sizes = new Map<number, number>()
  let top = 64
  const take = (size: number, alignment = 8) => {
    const pointer = Math.ceil(top / alignment) * alignment
    top = pointer + size
    sizes.set(pointer, size)
    return pointer
  }
  const allocator = {
    malloc: (size: number) => take(size),
    calloc: (count: number, size: number) => take(count * size),
    realloc(pointer: number, size: number) {
      const moved = take(size)
      memory.copyWithin(moved, pointer, pointer + Math.min(size, sizes.get(pointer) ?? 0))
      return moved
    },
    alignedAlloc: (alignment: number, size: number) => take(size, alignment),
    free(_pointer: number) {},
    ...faults
  }
  const bytes = (pointer: number, size: number) => memory.subarray(pointer, pointer + size)
  return { subject: { allocator, none: 0, alignment: 8, aligns: true, bytes }, take, memory }
}

const work = churn(20, 200, 500)

function table(columns: Columns): Int32Array {
  return new Int32Array(columns.slotCount)
}

function operations(list: readonly (readonly [kind: number, id: number, size: number, extra: number])[]): Columns {
  return fromTrace({
    name: 'test',
    length: list.length,
    ids: 8,
    kinds: Uint8Array.from(list, ([kind]) => kind),
    idOf: Int32Array.from(list, ([, id]) => id),
    sizes: Float64Array.from(list, ([, , size]) => size),
    extras: Float64Array.from(list, ([, , , extra]) => extra)
  })
}

describe('the verification of contenders', () => {
  it('accepts one that is right, and leaves nothing allocated', () => {
    const slots = table(work)
    expect(() => verify(bump().subject, work, slots)).not.toThrow()
    expect([...slots].every(pointer => pointer === 0)).toBe(true)
  })

  it('catches blocks that overlap', () => {
    const { subject, take } = bump({ malloc: size => take(size) - (size > 100 ? 8 : 0) })
    expect(() => verify(subject, work, table(work))).toThrow(/were overwritten|was overwritten/)
  })

  it('catches a block that is only overwritten at the end', () => {
    const { subject } = bump({ malloc: () => 64 })
    const two = operations([
      [0, 0, 16, 0],
      [0, 1, 16, 0]
    ])
    expect(() => verify(subject, two, table(two))).toThrow(/at the end, the block of slot 0/)
  })

  it('catches a realloc that loses bytes', () => {
    const { subject, take } = bump({ realloc: (_pointer, size) => take(size) })
    const grow = operations([
      [0, 0, 16, 0],
      [REALLOC, 0, 64, 0]
    ])
    expect(() => verify(bump().subject, grow, table(grow))).not.toThrow()
    expect(() => verify(subject, grow, table(grow))).toThrow(/operation 1: realloc lost bytes/)
  })

  it('catches a calloc that does not clear', () => {
    const { subject, memory } = bump()
    memory.fill(9)
    const clear = operations([[1, 0, 16, 4]])
    expect(() => verify(subject, clear, table(clear))).toThrow(/calloc left a byte/)
  })

  it('catches pointers that are not aligned, and no memory', () => {
    const odd = bump({ alignedAlloc: (_alignment, size) => odd.take(size) })
    const aligned = operations([
      [0, 0, 24, 0],
      [ALIGNED, 1, 10, 1024]
    ])
    expect(() => verify(bump().subject, aligned, table(aligned))).not.toThrow()
    expect(() => verify(odd.subject, aligned, table(aligned))).toThrow(
      /operation 1: pointer \d+ is not a multiple of 1024/
    )
    expect(() => verify(bump({ malloc: () => 0 }).subject, work, table(work))).toThrow(/operation 0: no memory/)
  })
})

describe('the replay loop', () => {
  it('hands every operation to the allocator with its own arguments', () => {
    const calls: string[] = []
    const log = (name: string, result: number) => (a: number, b?: number) => {
      calls.push(b === undefined ? `${name} ${a}` : `${name} ${a} ${b}`)
      return result
    }
    const allocator = {
      malloc: log('malloc', 1),
      calloc: log('calloc', 2),
      alignedAlloc: log('aligned', 3),
      realloc: log('realloc', 4),
      free: (pointer: number) => void calls.push(`free ${pointer}`)
    }
    const columns = operations([
      [0, 0, 100, 0],
      [1, 1, 8, 3],
      [ALIGNED, 2, 10, 64],
      [REALLOC, 0, 300, 0],
      [4, 1, 0, 0],
      [4, -1, 0, 0]
    ])
    const slots = table(columns)
    replay(allocator, columns, slots, 0, 0, columns.kinds.length)
    expect(calls).toEqual(['malloc 100', 'calloc 3 8', 'aligned 64 10', 'realloc 1 300', 'free 2', 'free 0'])
    freeAll(allocator, Int32Array.of(0, 2), slots, 0)
    expect(calls.slice(-2)).toEqual(['free 4', 'free 3'])
    expect([...slots].every(pointer => pointer === 0)).toBe(true)
  })
})
