/**
 * Heap files whose process was killed after any single store. When such a file is opened, it has
 * exactly the blocks from before the interrupted call, or those from after it.
 * test/engine/stores.test.ts tests this on the arena alone, with many more cases. These tests go
 * from the bytes of the file to a working heap.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { QUIET } from '../../lib/engine/engine.js'
import { readHeader } from '../../lib/engine/format.js'
import { Heap, placements } from '../../lib/index.js'
import { RootTable } from '../../lib/sharing/roots.js'
import { headBytes, OPEN, ROOT_BYTES, ROOTS, STATE_WORD } from '../../lib/sharing/superblock.js'
import { recorded } from '../engine/recorded.js'
import { scaled } from '../runs.js'
import { newFolder } from './support.js'

const folder = newFolder()
afterAll(() => rmSync(folder, { recursive: true }))

const HEAD = headBytes(0)
const SIZE = 2 * HEAD

const step = fc.record({
  kind: fc.constantFrom(
    'malloc',
    'malloc',
    'malloc',
    'aligned',
    'realloc',
    'realloc',
    'free',
    'free'
  ),
  size: fc.oneof(fc.nat(200), fc.nat(3000)),
  which: fc.nat()
})

const usedIn = (blocks: Iterable<{ readonly used: boolean; readonly pointer: number }>): string =>
  [...blocks].flatMap(({ used, pointer }) => (used ? [pointer] : [])).join(' ')

const kinds = placements.flatMap(placement => [false, true].map(slabs => ({ placement, slabs })))

/** The number of files that were opened. */
let prefixes = 0

describe.each(kinds)('a heap file, %j', options => {
  test('killed after any store, has the blocks from before or after the call', () => {
    const path = join(folder, `${options.placement}-${options.slabs}.heap`)
    Heap.open(path, { size: SIZE, create: true, ...options }).close()
    const empty = readFileSync(path)
    new DataView(empty.buffer, empty.byteOffset).setInt32(STATE_WORD * 4, OPEN, true)
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 3, maxLength: 15, size: 'max' }),
        fc.nat(6),
        (steps, salt) => {
          const image = new Uint8Array(empty).slice()
          const arena = new Int32Array(image.buffer, HEAD)
          const words = arena.slice()
          const { watched, log } = recorded(words)
          const heap = new Allocator(watched, readHeader(words), QUIET)
          const live: number[] = []
          for (const [turn, { kind, size, which }] of steps.entries()) {
            const before = usedIn(heap.eachBlock())
            log.length = 0
            const at = which % Math.max(1, live.length)
            if (kind === 'malloc' || live.length === 0) live.push(heap.allocate(size))
            else if (kind === 'aligned')
              live.push(heap.allocateAligned(2 ** (4 + (which % 6)), size))
            else if (kind === 'free') heap.free(live.splice(at, 1)[0])
            else live[at] = heap.resize(live[at], size + 1) || live[at]
            if (live.at(-1) === 0) live.pop()
            const after = usedIn(heap.eachBlock())
            for (const [count, { index, values }] of log.entries()) {
              arena.set(values, index)
              // Try some stores of the first calls, and every store of the last one.
              if (turn < steps.length - 1 && (count + turn) % 7 !== salt) continue
              writeFileSync(path, image)
              const again = Heap.open(path)
              const found = usedIn(again.blocks())
              again.check()
              again.close()
              prefixes++
              if (found !== before && found !== after)
                expect(`${kind}, store ${count}: ${found}`).toBe(before)
            }
          }
        }
      ),
      { numRuns: scaled(10) }
    )
  })
})

test('the tests above opened hundreds of images', () => {
  if (scaled(10) >= 10) expect(prefixes).toBeGreaterThan(500)
  if (scaled(10) > 10) console.log(`${prefixes} images`)
})

describe('the named roots of a process that was killed after any single store', () => {
  const names = fc.constantFrom('a', 'b', 'a longer name', 'ü'.repeat(32), 'z'.repeat(64))
  const change = fc.record({ name: names, pointer: fc.nat(1000), deletes: fc.boolean() })

  test('are those from before or after the change', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), changes => {
        const words = new Int32Array((ROOTS * ROOT_BYTES) / 4)
        const { watched, log } = recorded(words)
        const table = new RootTable(watched)
        const rootsIn = (all: RootTable): string =>
          JSON.stringify(
            all
              .keys()
              .sort()
              .map(name => [name, all.get(name)])
          )
        for (const { name, pointer, deletes } of changes) {
          const cut = words.slice()
          const before = rootsIn(table)
          log.length = 0
          if (deletes) table.delete(name)
          else table.set(name, pointer * 8)
          const after = rootsIn(table)
          // The name is written before the last store, through another view, which is not recorded.
          for (const [count, { index, values }] of log.entries()) {
            if (count === log.length - 1 && !deletes)
              cut.set(words.subarray(index + 16, index + 32), index + 16)
            cut.set(values, index)
            const found = new RootTable(cut)
            found.check(2 ** 16)
            expect([before, after]).toContain(rootsIn(found))
          }
        }
      }),
      { numRuns: scaled(100) }
    )
  })
})
