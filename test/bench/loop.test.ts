import { describe, expect, it } from 'vitest'
import { type ContenderName, labelOf, openContender, present } from '../../lib/bench/contenders.js'
import { loopOf, shuffled, verify } from '../../lib/bench/loop.js'
import {
  KINDS,
  type PointerAllocator,
  type ViewAllocator,
  type Work
} from '../../lib/bench/work.js'

const work: Work = { size: 5000, live: 4, as: 'array', cleared: true }

/** Objects over one memory, each at its own place; `faults` replaces what is to be wrong. */
function views(faults: Partial<ViewAllocator> = {}): ViewAllocator {
  return { kind: 'view', allocate: size => new Uint8Array(size), release() {}, ...faults }
}

describe('the order of replacement', () => {
  it('contains every slot once, and is not the order of addresses', () => {
    const order = [...shuffled(100)]
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(order.filter((slot, i) => slot === i).length).toBeLessThan(10)
    expect([...shuffled(100)]).toEqual(order)
    expect([...shuffled(1)]).toEqual([0])
  })
})

describe('the loop', () => {
  it('frees the oldest block before it allocates, and writes to each page of the new one', () => {
    const memory = new Uint8Array(2 ** 16)
    const calls: string[] = []
    let top = 0
    const bump: PointerAllocator = {
      kind: 'pointer',
      memory,
      allocate(size) {
        top += 8192
        calls.push(`allocate ${size} at ${top}`)
        return top
      },
      release: block => void calls.push(`free ${block}`)
    }
    const loop = loopOf(bump, { ...work, live: 1 })
    loop.run(2)
    expect(calls).toEqual([
      'allocate 5000 at 8192',
      'free 8192',
      'allocate 5000 at 16384',
      'free 16384',
      'allocate 5000 at 24576'
    ])
    const written = [...memory.entries()].flatMap(([at, byte]) => (byte === 0 ? [] : [at]))
    expect(written).toEqual([16384, 16384 + 4096, 24576, 24576 + 4096])
  })

  it('replaces each of the live blocks in turn', () => {
    const freed: Uint8Array[] = []
    const made: Uint8Array[] = []
    const allocate = (size: number) => {
      const block = new Uint8Array(size)
      made.push(block)
      return block
    }
    const loop = loopOf(views({ allocate, release: block => void freed.push(block) }), work)
    loop.run(3)
    loop.run(5)
    expect(new Set(freed.slice(0, 4))).toEqual(new Set(made.slice(0, 4)))
    expect(freed.slice(4)).toEqual(made.slice(4, 8))
  })
})

describe('the check of a contender', () => {
  it('detects a block that is too short', () => {
    const short = views({ allocate: size => new Uint8Array(size - 1) })
    expect(() => verify(short, work)).toThrow('a block of 5000 bytes has 4999')
  })

  it('detects bytes that were not cleared', () => {
    const dirty = views({ allocate: size => new Uint8Array(size).fill(1) })
    expect(() => verify(dirty, work)).toThrow('the bytes of a block are not zero')
    expect(() => verify(dirty, { ...work, cleared: false })).not.toThrow()
  })

  it('detects memory that is only clear the first time', () => {
    const kept = Array.from({ length: 16 }, () => new Uint8Array(5000))
    let next = 0
    const reusing = views({ allocate: () => kept[next++ % 16] })
    expect(() => verify(reusing, work)).toThrow('the bytes of a block are not zero')
  })

  it('detects blocks that overlap, and missing memory', () => {
    const one = new Uint8Array(5000)
    expect(() => verify(views({ allocate: () => one }), { ...work, cleared: false })).toThrow(
      'overwritten by another'
    )
    const full: PointerAllocator = { kind: 'pointer', allocate: () => 0, release() {}, memory: one }
    expect(() => verify(full, work)).toThrow('a block of 5000 bytes has 0')
  })
})

describe('every contender', () => {
  const cases = present().flatMap((name): [ContenderName, Work][] =>
    KINDS.flatMap(as =>
      [true, false].map((cleared): [ContenderName, Work] => [
        name,
        { size: 100, live: 8, as, cleared }
      ])
    )
  )
  it.each(cases)('%s does its work: %o', async (name, asked) => {
    const allocator = await openContender(name, asked)
    expect(() => verify(allocator, asked)).not.toThrow()
    expect(() => loopOf(allocator, asked).run(100)).not.toThrow()
  })

  it('gets the calls for its work', () => {
    for (const as of KINDS) {
      for (const cleared of [true, false]) {
        const labels = present().map(name => labelOf(name, { as, cleared }))
        expect(new Set(labels).size).toBe(labels.length)
      }
    }
    expect(labelOf('first-fit', { as: 'array', cleared: true })).toBe(
      'offheap first-fit: allocZeroed'
    )
  })
})
