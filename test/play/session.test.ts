/** A session steps through the same bytes as a heap of the package. */

import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { placements } from '../../lib/placement/policies.js'
import type { Call, Reference } from '../../lib/play/calls.js'
import { decodeCalls, parseCalls } from '../../lib/play/calls.js'
import { PRESETS } from '../../lib/play/presets.js'
import { type Session, sizeOfCall } from '../../lib/play/session.js'
import { describeRun, describeSteps } from '../../lib/play/words.js'
import { scaled } from '../runs.js'
import { ownSession, programs } from './support.js'

/** Performs a call on a heap, and fills its payload with the same letters as a session. */
function callHeap(heap: Heap, call: Call, pointers: number[], sizes: number[]): void {
  const pointerOf = (of: Reference) => ('variable' in of ? pointers[of.variable] : of.pointer)
  const fill = (from: number, to: number, variable: number) =>
    heap.u8.fill(0x61 + (variable % 26), from, Math.max(from, to))
  try {
    if (call.kind === 'free') {
      heap.free(pointerOf(call.of))
      if ('variable' in call.of) sizes[call.of.variable] = 0
    } else if (call.kind === 'realloc') {
      const moved = heap.realloc(pointerOf(call.of), call.size)
      if (!('variable' in call.of)) return
      const { variable } = call.of
      if (moved === 0 && call.size !== 0) return
      if (moved !== 0)
        fill(moved + Math.min(sizes[variable], call.size), moved + call.size, variable)
      pointers[variable] = moved
      sizes[variable] = call.size
    } else {
      const n = pointers.length
      pointers.push(0)
      sizes.push(0)
      const pointer =
        call.kind === 'malloc'
          ? heap.malloc(call.size)
          : call.kind === 'calloc'
            ? heap.calloc(call.count, call.size)
            : heap.alignedAlloc(call.alignment, call.size)
      pointers[n] = pointer
      if (pointer === 0) return
      sizes[n] = sizeOfCall(call)
      if (call.kind !== 'calloc') fill(pointer, pointer + call.size, n)
    }
  } catch (error) {
    expect(error).toMatchObject({ code: /^ERR_OFFHEAP_(INVALID_POINTER|DOUBLE_FREE)$/ })
  }
}

// These tests need no stacks.
beforeAll(() => {
  Error.stackTraceLimit = 0
})

const programOf = (session: Session, text: string) => {
  for (const call of parseCalls(text, 0)) session.run(call)
  return session
}

describe('a session', () => {
  it.each([
    ...placements.map(name => [name, false, 4096] as const),
    ['segregated-fit', true, 65_536] as const
  ])(
    'with %s (slabs: %s) has the same bytes as a heap after each call',
    (placement, slabs, size) => {
      fc.assert(
        fc.property(programs(40), calls => {
          const session = ownSession({ placement, slabs, size })
          using heap = Heap.map({ size, placement, slabs })
          const pointers: number[] = []
          const sizes: number[] = []
          for (const call of calls) {
            session.run(call)
            callHeap(heap, call, pointers, sizes)
            expect(different(session.words, heap.i32)).toEqual([])
          }
          heap.check()
        }),
        { numRuns: scaled(15) }
      )
    }
  )

  it('clears as many bytes of a slot as a heap does', () => {
    const options = { placement: 'segregated-fit', slabs: true, size: 65_536 } as const
    const session = ownSession(options)
    using heap = Heap.map(options)
    const pointers: number[] = []
    const sizes: number[] = []
    // The second slot of the slab lies on the words of a block that was freed.
    const text = 'malloc 501; malloc 0; malloc 17; free a; malloc 129; calloc 1 129'
    for (const call of parseCalls(text, 0)) {
      session.run(call)
      callHeap(heap, call, pointers, sizes)
      expect(different(session.words, heap.i32)).toEqual([])
    }
  })

  it('keeps the contents of a block that realloc is given by its address', () => {
    const session = programOf(ownSession(), 'malloc 24')
    const [{ pointer }] = session.live()
    session.run({ kind: 'realloc', of: { pointer }, size: 20 })
    const bytes = new Uint8Array(session.words.slice().buffer, pointer, 24)
    expect(String.fromCharCode(...bytes)).toBe('a'.repeat(24))
  })

  it('restores the bytes when stepping back, with blocks that can be walked at each step', () => {
    fc.assert(
      fc.property(programs(20), fc.constantFrom(...placements), (calls, placement) => {
        const session = ownSession({ placement })
        for (const call of calls) session.run(call)
        const end = session.words.slice()
        const moments = [session.now]
        const images = [end]
        while (session.now.call > 0 || session.now.step > 0) {
          session.stepBack()
          moments.push(session.now)
          images.push(session.words.slice())
          expect(session.picture().trouble).toBe('')
        }
        expect(images.at(-1)).toEqual(ownSession({ placement }).words)
        for (const [i, moment] of moments.toReversed().entries()) {
          expect(session.now).toEqual(moment)
          expect(different(session.words, images[images.length - 1 - i])).toEqual([])
          session.stepForward()
        }
        expect(session.words).toEqual(end)
      }),
      { numRuns: scaled(25) }
    )
  })

  it('moves to any moment in any order', () => {
    fc.assert(
      fc.property(
        programs(15),
        fc.array(fc.tuple(fc.nat(16), fc.nat(12)), { maxLength: 20 }),
        (calls, jumps) => {
          const session = ownSession()
          for (const call of calls) session.run(call)
          for (const [call, step] of jumps) {
            session.go({ call, step })
            const other = ownSession()
            for (const each of calls) other.run(each)
            other.go({ call: 0, step: 0 })
            while (other.now.call !== session.now.call || other.now.step !== session.now.step)
              other.stepForward()
            expect(different(session.words, other.words)).toEqual([])
          }
        }
      ),
      { numRuns: scaled(8) }
    )
  })

  it('discards the later calls when a call is made at an earlier moment', () => {
    const session = programOf(ownSession(), 'malloc 24; malloc 100; malloc 8')
    session.go({ call: 1, step: 0 })
    session.run({ kind: 'malloc', size: 40 })
    expect(session.runs.map(({ call }) => sizeOfCall(call))).toEqual([24, 40])
    expect(different(session.words, programOf(ownSession(), 'malloc 24; malloc 40').words)).toEqual(
      []
    )
    // Inside a call, the call itself is kept.
    session.go({ call: 1, step: 2 })
    session.run({ kind: 'malloc', size: 8 })
    expect(session.runs.map(({ call }) => sizeOfCall(call))).toEqual([24, 40, 8])
  })

  it('describes each store of the example in docs/one-malloc.md', () => {
    const session = programOf(
      ownSession({}, false),
      'malloc 24; malloc 100; malloc 8; free b; malloc 30'
    )
    expect(describeSteps(session, 4)).toEqual([
      'index at 412: 113 → 123',
      'next of the block at 492, which is created here',
      'prev of the block at 492, which is created here',
      'LIST next: 452 → 492',
      'LIST prev: 452 → 492',
      'header of the block at 492, which is created here',
      'footer at 552: 64 bytes',
      'header at 452: 104 bytes free → 40 bytes used',
      'USED: 48 → 88',
      'BLOCKS: 2 → 3'
    ])
    expect(session.now).toEqual({ call: 5, step: 0 })
    expect(describeRun(session.runs[4])).toBe('d = malloc(30) returned 456: 10 stores.')
  })

  it('records what a wrong call throws, and leaves the heap unchanged', () => {
    const session = programOf(
      ownSession(),
      'malloc 24; malloc 8; free a; free a; free 5; realloc b 8; aligned 3 8'
    )
    expect(session.runs.slice(3).map(describeRun)).toEqual([
      'free(a) threw: free: the block at 424 is free already',
      'free(5) threw: free: the pointer 5 is not a multiple of 8, as every pointer is',
      'b = realloc(b, 8) returned 456: 0 stores.',
      'c = alignedAlloc(3, 8) threw: The alignment must be a power of two. Received 3'
    ])
    expect(session.runs[3].steps).toEqual([])
    expect(session.live().map(({ variable }) => variable)).toEqual([1])
  })

  it.each(PRESETS.map(preset => [preset.name, preset] as const))(
    'runs the preset "%s"',
    (_name, preset) => {
      const {
        calls,
        placement = 'first-fit',
        against = placement,
        slabs = false,
        size = 4096
      } = preset
      for (const policy of [placement, against]) {
        const session = ownSession({ placement: policy, slabs, size })
        for (const call of decodeCalls(calls)) session.run(call)
        expect(session.picture().trouble).toBe('')
        const fails = session.runs.filter(({ error }) => error !== undefined)
        expect(fails.length).toBe(preset.name === 'A stale pointer' ? 1 : 0)
      }
    }
  )
})

/** Returns the words in which two memories differ. */
function different(one: Int32Array, other: Int32Array): number[] {
  const words: number[] = []
  for (let word = 0; word < Math.max(one.length, other.length); word++)
    if (one[word] !== other[word]) words.push(word)
  return words
}
