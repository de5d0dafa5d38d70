import { describe, expect, it } from 'vitest'
import { type Contender, verify } from '../../bench/process/verify.js'
import { fromTrace } from '../../bench/work/columns.js'
import type { Columns } from '../../bench/work/replay.js'
import { ALIGNED, freeAll, REALLOC, replay } from '../../bench/work/replay.js'
import { churn } from '../../bench/work/synthetic.js'

/**
 * An allocator that never reuses anything, in an ArrayBuffer; `faults` replaces what is to be
 * wrong.
 */
function bump(faults: Partial<Contender<number>['allocator']> = {}) {
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

function operations(
  list: readonly (readonly [kind: number, id: number, size: number, extra: number])[]
): Columns {
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
  it('accepts a correct contender, and leaves nothing allocated', () => {
    const live = new Set<number>()
    const right = bump({ free: pointer => void live.delete(pointer) })
    const { allocator } = right.subject
    const noting = (pointer: number) => {
      live.add(pointer)
      return pointer
    }
    const subject = {
      ...right.subject,
      allocator: { ...allocator, malloc: (size: number) => noting(allocator.malloc(size)) }
    }
    expect(() => verify(subject, work)).not.toThrow()
    expect(live.size).toBe(0)
  })

  it('accepts correct Buffers, and detects wrong ones', () => {
    const make = (size: number) => Buffer.alloc(size)
    const grow = (old: Buffer | undefined, size: number) => {
      const grown = make(size)
      if (old !== undefined) grown.set(old.subarray(0, size))
      return grown
    }
    const contender = (faults: object): Contender<Buffer | undefined> => ({
      allocator: {
        malloc: make,
        calloc: (count, size) => make(count * size),
        realloc: grow,
        alignedAlloc: (_alignment, size) => make(size),
        free() {},
        ...faults
      },
      none: undefined,
      alignment: 1,
      aligns: false,
      bytes: buffer => buffer
    })
    const some = operations([
      [0, 0, 16, 0],
      [1, 1, 16, 4],
      [ALIGNED, 2, 10, 1024],
      [REALLOC, 0, 64, 0],
      [4, 1, 0, 0],
      [4, -1, 0, 0]
    ])
    expect(() => verify(contender({}), some)).not.toThrow()
    expect(() => verify(contender({ malloc: (size: number) => make(size - 1) }), some)).toThrow(
      'test, operation 1, malloc of 16 bytes for id 0: returned 15 bytes'
    )
    expect(() =>
      verify(contender({ calloc: (n: number, size: number) => make(n * size).fill(1) }), some)
    ).toThrow(
      'operation 2, calloc of 4 × 16 bytes for id 1: byte 0 of the block is 0x01; calloc ' +
        'must clear every byte'
    )
    const one = Buffer.alloc(64)
    expect(() => verify(contender({ realloc: () => one }), some)).toThrow(
      /operation 4, .*realloc must keep the first 16/
    )
    expect(() => verify(contender({ malloc: () => undefined }), some)).toThrow(
      'the allocator returned NULL'
    )
  })

  it("calls the contender's own check", () => {
    let checks = 0
    verify({ ...bump().subject, check: () => void checks++ }, work)
    expect(checks).toBeGreaterThanOrEqual(50)
    const corrupt = () => {
      throw new Error('bad heap')
    }
    expect(() => verify({ ...bump().subject, check: corrupt }, work)).toThrow(
      /churn-20, after operation \d+.*bad heap/
    )
  })

  it('detects blocks that overlap', () => {
    const { subject, take } = bump({ malloc: size => take(size) - (size > 100 ? 8 : 0) })
    expect(() => verify(subject, work)).toThrow('the allocator wrote into a payload')
  })

  it('detects a block that is only overwritten at the end', () => {
    const { subject } = bump({ malloc: () => 64 })
    const two = operations([
      [0, 0, 16, 0],
      [0, 1, 16, 0]
    ])
    expect(() => verify(subject, two)).toThrow(/test, at the end of the trace: byte 0 of id 0 /)
  })

  it('detects a realloc that loses bytes', () => {
    const { subject, take } = bump({ realloc: (_pointer, size) => take(size) })
    const grow = operations([
      [0, 0, 16, 0],
      [REALLOC, 0, 64, 0]
    ])
    expect(() => verify(bump().subject, grow)).not.toThrow()
    expect(() => verify(subject, grow)).toThrow(
      /operation 2, .*realloc must keep the first 16 bytes/
    )
  })

  it('detects a calloc that does not clear', () => {
    const { subject, memory } = bump()
    memory.fill(9)
    const clear = operations([[1, 0, 16, 4]])
    expect(() => verify(subject, clear)).toThrow(/calloc must clear every byte/)
  })

  it('detects misaligned pointers, and missing memory', () => {
    const odd = bump({ alignedAlloc: (_alignment, size) => odd.take(size) })
    const aligned = operations([
      [0, 0, 24, 0],
      [ALIGNED, 1, 10, 1024]
    ])
    expect(() => verify(bump().subject, aligned)).not.toThrow()
    expect(() => verify(odd.subject, aligned)).toThrow(
      /operation 2, .*: returned \d+, which is not a multiple of 1024/
    )
    expect(() => verify(bump({ malloc: () => 0 }).subject, work)).toThrow(
      /operation 1, .*: the allocator returned NULL/
    )
  })
})

describe('the replay loop', () => {
  it('passes every operation to the allocator with its arguments', () => {
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
    expect(calls).toEqual([
      'malloc 100',
      'calloc 3 8',
      'aligned 64 10',
      'realloc 1 300',
      'free 2',
      'free 0'
    ])
    freeAll(allocator, Int32Array.of(0, 2), slots, 0)
    expect(calls.slice(-2)).toEqual(['free 4', 'free 3'])
    expect([...slots].every(pointer => pointer === 0)).toBe(true)
  })
})
