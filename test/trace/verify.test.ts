import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { linkOf, OffheapError, type OffheapErrorCode } from '../../lib/errors.js'
import { Heap } from '../../lib/heap/heap.js'
import { parseTrace } from '../../lib/trace/parse.js'
import { verifiedReplay } from '../../lib/trace/verify.js'
import { inView, type ReplayTarget } from '../../lib/trace/verify-target.js'
import { traces } from './arbitrary.js'
import { Bump } from './bump.js'

/**
 * Replays text without a header, so that operation n is on line n, and frees the remaining blocks.
 */
function verify(text: string, target: ReplayTarget): void {
  const replay = verifiedReplay(parseTrace(text), target)
  replay.run()
  replay.release()
}

function broken(message: string, code: OffheapErrorCode = 'ERR_OFFHEAP_CORRUPT') {
  return expect.objectContaining({ name: 'OffheapError', code, message: message + linkOf(code) })
}

describe('verifiedReplay', () => {
  it('accepts a correct allocator on any trace', () => {
    fc.assert(
      fc.property(traces, trace => {
        const replay = verifiedReplay(trace, new Bump(2 ** 22))
        replay.run()
        replay.release()
      })
    )
  })

  it('accepts the heap on any trace, which is empty after release', () => {
    fc.assert(
      fc.property(traces, trace => {
        using heap = Heap.map(2 ** 22)
        const replay = verifiedReplay(trace, heap)
        replay.run()
        replay.release()
        expect(heap.stats()).toMatchObject({ blocks: 0, freeBlocks: 0, used: 0 })
      }),
      // The example grows a block by 8 bytes into its free neighbour: the remainder's header is
      // where the neighbour's links were.
      { numRuns: 1000, examples: [[parseTrace('a 0 64\na 1 39\nr 0 128\na 2 10\nr 2 16\n')]] }
    )
  })

  it('release frees the remaining blocks, once', () => {
    const freed: number[] = []
    class Listening extends Bump {
      override free(pointer: number): void {
        freed.push(pointer)
      }
    }
    const replay = verifiedReplay(parseTrace('a 0 8\na 1 8\na 2 8\nf 1\nf -1\n'), new Listening())
    replay.run()
    expect(freed).toEqual([16, 0])
    replay.release()
    expect(freed).toEqual([16, 0, 8, 24])
  })

  it('detects a misaligned payload', () => {
    class Odd extends Bump {
      override malloc(size: number): number {
        return super.malloc(size + 4) + 4
      }
    }
    expect(() => verify('a 0 10\n', new Odd())).toThrow(
      broken(
        'operation 1 (line 1), malloc of 10 bytes for id 0: returned 12, which is not a ' +
          'multiple of 8'
      )
    )
  })

  it('detects a wrong alignment of alignedAlloc', () => {
    class Eight extends Bump {
      override alignedAlloc(_alignment: number, size: number): number {
        return super.alignedAlloc(8, size)
      }
    }
    expect(() => verify('m 0 4096 10\n', new Eight())).toThrow(
      broken(
        'operation 1 (line 1), alignedAlloc of 10 bytes at 4096 for id 0: returned 8, ' +
          'which is not a multiple of 4096'
      )
    )
  })

  it.each([
    ['before', -8, 'returned -8; 10 bytes from there lie outside the heap of 64 bytes'],
    ['behind', 64, 'returned 64; 10 bytes from there lie outside the heap of 64 bytes'],
    ['across the end of', 56, 'returned 56; 10 bytes from there lie outside the heap of 64 bytes'],
    ['anywhere but', Number.NaN, 'returned NaN, which is not a byte offset'],
    ['between bytes of', 8.5, 'returned 8.5, which is not a byte offset']
  ])('catches a block %s the heap', (_where, pointer, message) => {
    class Elsewhere extends Bump {
      override malloc(): number {
        return pointer
      }
    }
    expect(() => verify('a 0 10\n', new Elsewhere(64))).toThrow(
      broken(`operation 1 (line 1), malloc of 10 bytes for id 0: ${message}`)
    )
  })

  it('detects a block of 0 bytes at the very end of the heap', () => {
    class End extends Bump {
      override malloc(): number {
        return 64
      }
    }
    expect(() => verify('a 0 0\n', new End(64))).toThrow('lie outside the heap of 64 bytes')
  })

  it.each([
    [
      'last bytes',
      'a 0 20\na 1 9\n',
      24,
      'returned 24; 9 bytes from there overlap id 0 (20 bytes at 8, made by operation 1)'
    ],
    [
      'middle',
      'a 0 40\na 1 9\n',
      16,
      'returned 16; 9 bytes from there overlap id 0 (40 bytes at 8, made by operation 1)'
    ],
    [
      'place',
      'a 0 0\na 1 0\n',
      8,
      'returned 8; 0 bytes from there overlap id 0 (0 bytes at 8, made by operation 1)'
    ]
  ])('catches a block over the %s of another', (_where, text, second, message) => {
    class Over extends Bump {
      override malloc(size: number): number {
        return super.malloc(size) === 8 ? 8 : second
      }
    }
    expect(() => verify(text, new Over())).toThrow(message)
  })

  it('detects a block that overlaps the next one', () => {
    class Backwards extends Bump {
      override malloc(): number {
        this.top -= 16
        return this.top
      }
    }
    const target = new Backwards()
    target.top = 1024
    expect(() => verify('a 0 16\na 1 17\n', target)).toThrow(
      'returned 992; 17 bytes from there overlap id 0 (16 bytes at 1008, made by operation 1)'
    )
  })

  it('accepts memory that is reused after a free, and after a block moved', () => {
    class Two extends Bump {
      override malloc(): number {
        this.top = this.top === 8 ? 16 : 8
        return this.top
      }
      override realloc(pointer: number): number {
        const to = this.malloc()
        this.u8.copyWithin(to, pointer, pointer + 8)
        return to
      }
    }
    verify('a 0 8\nf 0\na 1 8\nf 1\na 2 8\nr 2 6\nr 2 7\na 3 8\n', new Two())
  })

  it('detects a calloc that does not clear a byte', () => {
    class Dirty extends Bump {
      override calloc(count: number, size: number): number {
        const pointer = super.calloc(count, size)
        this.u8[pointer + 13] = 7
        return pointer
      }
    }
    expect(() => verify('c 0 7 2\n', new Dirty())).toThrow(
      broken(
        'operation 1 (line 1), calloc of 7 × 2 bytes for id 0: byte 13 of the block at 8 ' +
          'is 0x07; calloc must clear every byte'
      )
    )
    verify('c 0 13 1\n', new Dirty())
  })

  it.each([
    [6, 20, 10, 6],
    [9, 10, 20, 9],
    [0, 4000, 5000, 0]
  ])('catches realloc that loses byte %i from %i to %i bytes', (lost, from, to, at) => {
    class Forgetful extends Bump {
      override realloc(pointer: number, size: number): number {
        const moved = super.realloc(pointer, size)
        this.u8[moved + lost] ^= 0xff
        return moved
      }
    }
    const kept = Math.min(from, to)
    expect(() => verify(`a 0 ${from}\nr 0 ${to}\n`, new Forgetful())).toThrow(
      expect.objectContaining({
        code: 'ERR_OFFHEAP_CORRUPT',
        message: expect.stringMatching(
          new RegExp(
            `^operation 2 \\(line 2\\), realloc of id 0 to ${to} bytes: the block moved ` +
              `from 8 to \\d+, and byte ${at} of it is ` +
              `0x[0-9a-f]{2} instead of 0x[0-9a-f]{2}; realloc must keep the first ${kept} ` +
              `bytes \\(see`
          )
        )
      })
    )
  })

  it('accepts any bytes of realloc after the kept ones', () => {
    class Scribbling extends Bump {
      override realloc(pointer: number, size: number): number {
        const moved = super.realloc(pointer, size)
        this.u8.fill(0xee, moved + 10, moved + size)
        return moved
      }
    }
    verify('a 0 10\nr 0 33\n', new Scribbling())
  })

  it.each([
    ['free', 'a 0 16\na 1 16\nf 1\nf 0\n', 'before operation 4 (line 4), free of id 0'],
    [
      'realloc',
      'a 0 16\na 1 16\nf 1\nr 0 99\n',
      'before operation 4 (line 4), realloc of id 0 to 99 bytes'
    ],
    ['the end', 'a 0 16\na 1 16\nf 1\n', 'at the end of the trace']
  ])('catches a payload that the allocator wrote into, by %s', (_when, text, when) => {
    class Writing extends Bump {
      override free(pointer: number): void {
        if (pointer === 24) this.u8[pointer - 1] ^= 1
      }
    }
    expect(() => verify(text, new Writing())).toThrow(
      expect.objectContaining({
        code: 'ERR_OFFHEAP_CORRUPT',
        message: expect.stringMatching(
          /: byte 15 of id 0 \(16 bytes at 8, made by operation 1\) is 0x.. instead of 0x..; the/
        )
      })
    )
    expect(() => verify(text, new Writing())).toThrow(when)
  })

  it('detects two blocks with exchanged contents', () => {
    class Swapping extends Bump {
      override free(): void {
        const first = this.u8.slice(8, 24)
        this.u8.copyWithin(8, 24, 40)
        this.u8.set(first, 24)
      }
    }
    expect(() => verify('a 0 16\na 1 16\nf -1\n', new Swapping())).toThrow(
      'at the end of the trace: byte 0 of id 0'
    )
  })

  it('reports where memory ran out, and what was left', () => {
    class Full extends Bump {
      stats() {
        return { free: 24, largestFree: 16 }
      }
    }
    expect(() => verify('a 0 40\na 1 40\n', new Full(64))).toThrow(
      broken(
        'operation 2 (line 2), malloc of 40 bytes for id 1: the heap of 64 bytes has no ' +
          'block for it, with 24 bytes free, the ' +
          'largest block of them 16; give it more with --size',
        'ERR_OFFHEAP_OUT_OF_MEMORY'
      )
    )
    expect(() => verify('a 0 10\nr 0 60\n', new Bump(64))).toThrow(
      broken(
        'operation 2 (line 2), realloc of id 0 to 60 bytes: the heap of 64 bytes has no ' +
          'block for it; give it more with --size',
        'ERR_OFFHEAP_OUT_OF_MEMORY'
      )
    )
  })

  it('reports where an error of the allocator occurred, and keeps its code', () => {
    class Throwing extends Bump {
      override malloc(size: number): number {
        if (size === 13) throw new OffheapError('ERR_OFFHEAP_CLOSED', 'unlucky')
        return super.malloc(size)
      }
      override free(): void {
        throw new TypeError('no')
      }
    }
    expect(() => verify('a 0 13\n', new Throwing())).toThrow(
      broken('operation 1 (line 1), malloc of 13 bytes for id 0: unlucky', 'ERR_OFFHEAP_CLOSED')
    )
    expect(() => verify('a 0 8\nf 0\n', new Throwing())).toThrow(
      broken('operation 2 (line 2), free of id 0: no')
    )
    expect(() => verify('a 0 8\n', new Throwing())).toThrow(
      broken(
        'while freeing what the trace left: free of id 0 (8 bytes at 8, made by operation 1): no'
      )
    )
  })

  it('checks a tiny heap after every operation, a long trace about fifty times', () => {
    class Counting extends Bump {
      checks = 0
      override check(): void {
        this.checks++
        if (this.checks === 3) throw new Error('bad heap')
      }
    }
    expect(() => verify('a 0 8\na 1 8\nf 0\na 2 8\n', new Counting())).toThrow(
      broken('after operation 3 (line 3), free of id 0: bad heap')
    )
    const long = 'a 0 8\nf 0\n'.repeat(5000)
    const target = new Counting()
    target.checks = 100
    verify(long, target)
    expect(target.checks - 100).toBeGreaterThanOrEqual(51)
    expect(target.checks - 100).toBeLessThanOrEqual(55)
  })

  describe("compares the heap's blocks with those of the trace", () => {
    type Block =
      ReturnType<NonNullable<ReplayTarget['blocks']>> extends Iterable<infer Each> ? Each : never

    /** Lists the blocks that it allocated and that were not freed, after `lie`. */
    class Listing extends Bump {
      readonly lie: (blocks: Block[]) => Block[]
      constructor(lie: (blocks: Block[]) => Block[]) {
        super()
        this.lie = lie
      }
      *blocks(): Generator<Block> {
        const blocks = Array.from(this.sizes, ([pointer, size]) => ({
          pointer,
          offset: pointer,
          size,
          used: true
        }))
        yield* this.lie(blocks.sort((a, b) => a.offset - b.offset))
      }
    }

    const TEXT = 'a 0 16\na 1 16\nf 0\n'

    it('accepts the correct list, with any number of unused blocks', () => {
      verify(TEXT, new Listing(blocks => blocks))
      const free = { pointer: 1024, offset: 1024, used: false }
      verify(
        TEXT,
        new Listing(blocks => [...blocks, { ...free, size: 8 }, { ...free, offset: 1032, size: 8 }])
      )
    })

    it.each<[string, (blocks: Block[]) => Block[], string]>([
      [
        'forgets a used block',
        blocks => blocks.slice(1),
        'lists 0 used blocks where the trace has 1; id 0 (16 bytes at 8'
      ],
      [
        'calls a used block free',
        blocks => blocks.map(each => ({ ...each, used: false })),
        'lists 0 used blocks'
      ],
      [
        'calls a block used that nobody has',
        blocks => [...blocks, { pointer: 64, offset: 60, size: 16, used: true }],
        'calls the block of 16 bytes at 60 used, but the trace has no block at 64'
      ],
      [
        'puts a used block somewhere else',
        blocks => blocks.map(each => ({ ...each, pointer: each.pointer + 8 })),
        'but the trace has no block at 16'
      ],
      [
        'makes a block too short',
        blocks => blocks.map(each => ({ ...each, size: 15 })),
        'ends the block of id 0 '
      ],
      [
        'lists a block twice',
        blocks => [...blocks, ...blocks],
        'lists a block at 8, inside the one before it'
      ]
    ])('catches a heap that %s', (_what, lie, message) => {
      expect(() => verify('a 0 16\n', new Listing(lie))).toThrow(message)
    })

    it('detects a block that is still used when all are freed', () => {
      class Keeping extends Listing {
        override free(): void {}
      }
      expect(() => verify('a 0 16\n', new Keeping(blocks => blocks))).toThrow(
        'after freeing what the trace left: the heap calls the block of 16 bytes at 8 used'
      )
    })
  })

  it('reports progress up to the end', () => {
    const seen: number[] = []
    verifiedReplay(parseTrace('a 0 8\nf 0\n'.repeat(1000)), new Bump(2 ** 20)).run(2000, done =>
      seen.push(done)
    )
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => (i + 1) * 40))
  })

  it('reads bytes that begin between two words', () => {
    const place = inView(new Uint8Array(new ArrayBuffer(64), 3, 40))
    place.payloads.fill(place.at, 7, 0, 33)
    expect(place.payloads.firstChanged(place.at, 7, 33)).toBe(-1)
    expect(place.payloads.firstNonZero(33, 7)).toBe(-1)
    expect(place.payloads.firstChanged(place.at, 8, 33)).toBe(0)
    const aligned = inView(new Uint8Array(40))
    aligned.payloads.fill(0, 7, 0, 33)
    for (let i = 0; i < 33; i++)
      expect(place.payloads.found(0, i)).toBe(aligned.payloads.found(0, i))
  })

  it('reads a heap that begins in the middle of its buffer', () => {
    class Inside extends Bump {
      override readonly u8 = new Uint8Array(new ArrayBuffer(4096), 1024, 1024)
    }
    verify('a 0 33\na 1 5\nr 0 70\nc 2 3 3\nf 1\n', new Inside())
  })
})
