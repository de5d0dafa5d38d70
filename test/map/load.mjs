/**
 * What test/map/kills.test.ts kills: calls without end on a map in a heap file, made up from a
 * seed, each noted when it returned.
 *
 *     node load.mjs library maps path seed policy
 */
import { openSync, writeSync } from 'node:fs'

const [, , library, maps, path, seed, policy] = process.argv
const { Heap } = await import(library)
const { HeapMap } = await import(maps)
const { apply } = await import('./load-steps.mjs')

const heap = Heap.open(path, { size: 2 ** 22, create: true })
const map = HeapMap.create(heap, { eviction: policy, max: 3000 })
heap.root = map.pointer
const journal = openSync(`${path}.journal`, 'w')
const done = Buffer.alloc(4)
for (let call = 0; ; call++) {
  apply(map, Number(seed), call)
  done.writeUInt32LE(call + 1)
  writeSync(journal, done, 0, 4, 0)
}
