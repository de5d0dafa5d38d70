/**
 * The order of stores: a heap that was interrupted after any store of any call is repaired by
 * recovery, and no earlier block is lost. Records every store of random calls; recovers and checks
 * each prefix of them, and compares it with the blocks before and after the call.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { type Pages, QUIET } from '../../lib/engine/engine.js'
import { type Header, ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import { placements } from '../../lib/index.js'
import { CUT, PENDING_WORD, WITH_SLABS } from '../../lib/layout/header.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { scaled } from '../runs.js'
import { recorded } from './recorded.js'

/** Pages that are zero after they were returned. */
const pagesOf = (words: Int32Array): Pages => ({
  pageSize: 4096,
  decommit: (offset, length) => void words.fill(0, offset / 4, (offset + length) / 4)
})

interface Step {
  readonly kind: 'malloc' | 'calloc' | 'aligned' | 'realloc' | 'free' | 'trim'
  readonly size: number
  readonly which: number
}

const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 3000 }) }
)
const kind = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Step['kind']>('malloc') },
  { weight: 1, arbitrary: fc.constantFrom<Step['kind'][]>('calloc', 'aligned', 'trim') },
  { weight: 3, arbitrary: fc.constant<Step['kind']>('realloc') },
  { weight: 5, arbitrary: fc.constant<Step['kind']>('free') }
)
const steps = fc.array(fc.record({ kind, size, which: fc.nat() }), {
  minLength: 1,
  maxLength: 40,
  size: 'max'
})

const step = (kind: Step['kind'], size: number): Step => ({ kind, size, which: 0 })
/**
 * A chunk of slabs is cut out of the middle of a free block, where its header is written before it
 * is a block.
 */
const aChunkInside = [
  step('malloc', 1549),
  step('malloc', 0),
  step('free', 0),
  step('malloc', 33),
  step('malloc', 17)
]

/** The used pointers of a heap, as one line. */
function usedIn(allocator: Allocator): string {
  return [...allocator.eachBlock()]
    .filter(block => block.used)
    .map(block => block.pointer)
    .join(' ')
}

describe.each(placements)('%s, after every single store', placement => {
  test.each([false, true])('loses no block, with slabs: %s', slabs => {
    const policy = policyNamed(placement)
    fc.assert(
      fc.property(steps, fc.nat(), (sequence, salt) => {
        const words = new Int32Array(slabs ? 2 ** 14 : 2 ** 12)
        const options = slabs ? WITH_SLABS : 0
        const header: Header = { policy, options, length: words.length }
        writeHeader(words, header, ordinaryLayout(words.length, policy, slabs), 0, true)
        const { watched, log } = recorded(words)
        const heap = new Allocator(watched, header, QUIET)
        heap.reset()
        const live = new Map<number, number>()
        const mark = (pointer: number): void => {
          words.fill(pointer, pointer / 4, pointer / 4 + Math.floor(heap.usableSize(pointer) / 4))
          live.set(pointer, heap.usableSize(pointer))
        }
        for (const { kind, size, which } of sequence) {
          const before = words.slice()
          const usedBefore = usedIn(heap)
          const liveBefore = new Map(live)
          log.length = 0
          const chosen = [...live.keys()][which % Math.max(1, live.size)]
          let result = 0
          if (kind === 'malloc') result = heap.allocate(size)
          else if (kind === 'calloc') result = heap.allocateZeroed(size)
          else if (kind === 'aligned') result = heap.allocateAligned(2 ** (4 + (which % 7)), size)
          else if (kind === 'trim') heap.trim(pagesOf(watched))
          else if (chosen !== undefined && kind === 'realloc')
            result = heap.resize(chosen, size + 1)
          else if (chosen !== undefined) heap.free(chosen)
          if (chosen !== undefined && (kind === 'free' || (kind === 'realloc' && result !== 0)))
            live.delete(chosen)
          const usedAfter = usedIn(heap)
          for (let stores = 0; stores <= log.length; stores++) {
            if (stores > 0) before.set(log[stores - 1].values, log[stores - 1].index)
            const cut = before.slice()
            cut[PENDING_WORD] = CUT
            // Recovery is interrupted as well, after some store, and runs again.
            const again = recorded(cut.slice())
            new Allocator(again.watched, header, QUIET).eachBlock()
            const half = (salt * 31 + stores * 7) % (again.log.length + 1)
            for (let i = 0; i < half; i++) cut.set(again.log[i].values, again.log[i].index)
            cut[PENDING_WORD] = CUT
            const recoveredHeap = new Allocator(cut, header, QUIET)
            recoveredHeap.check()
            const used = usedIn(recoveredHeap)
            if (used !== usedBefore && used !== usedAfter) {
              expect(`${kind} ${size}, after ${stores} of ${log.length} stores: ${used}`).toBe(
                usedBefore
              )
            }
            for (const [pointer, usable] of liveBefore) {
              const kept = kind === 'realloc' && pointer === chosen ? 0 : Math.floor(usable / 4)
              for (let word = pointer / 4; word < pointer / 4 + kept; word++) {
                if (recoveredHeap.usableSize(pointer) >= 0 && cut[word] !== pointer) {
                  expect(`word ${word} of ${pointer}: ${cut[word]}`).toBe(`${pointer}`)
                }
              }
            }
          }
          if (result !== 0) mark(result)
        }
      }),
      { numRuns: scaled(2) + 1, examples: [[aChunkInside, 0]] }
    )
  })
})
