/**
 * What test/map/kills.test.ts kills: calls without end on a map in a heap file, made up from a
 * seed, each noted when it returned: in a journal. With the policy `shared:WORD`, on a SharedMap
 * that is there already; they are then counted in a word of the heap.
 *
 *     node load.mjs library maps path seed policy
 */
import { openSync, writeSync } from 'node:fs'

const [, , library, maps, path, seed, policy] = process.argv
const { Heap } = await import(library)
const { HeapMap, SharedMap } = await import(maps)
const { apply, ownKeys } = await import('./load-steps.mjs')

if (policy.startsWith('shared:')) {
  const heap = Heap.open(path, { shared: true })
  const map = ownKeys(SharedMap.open(heap), seed)
  const word = Number(policy.slice(7))
  for (let call = 0; ; call++) {
    apply(map, Number(seed), call)
    Atomics.store(heap.i32, word, call + 1)
  }
}

const heap = Heap.open(path, { size: 2 ** 22, create: true })
const map = HeapMap.create(heap, { eviction: policy, max: 3000 })
heap.root = map.pointer
const journal = openSync(`${path}.${seed}.journal`, 'w')
const done = Buffer.alloc(4)
for (let call = 0; ; call++) {
  apply(map, Number(seed), call)
  done.writeUInt32LE(call + 1)
  writeSync(journal, done, 0, 4, 0)
}
