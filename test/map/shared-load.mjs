/**
 * Changes a shared map until it is killed: as a worker of shared-map.test.ts, or as a process with
 * a heap file.
 *
 *     node shared-load.mjs library maps path seed
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'

const [, , library, maps, path, seed] = process.argv
const given = workerData ?? { library, maps, seed: Number(seed) }
const { Heap } = await import(given.library)
const { SharedMap } = await import(given.maps)
const heap = isMainThread ? Heap.open(path, { shared: true }) : Heap.attach(given.handle)
const map = SharedMap.open(heap, given.pointer ?? heap.root)

let state = given.seed
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) | 0
  return (state >>> 8) % below
}

for (let call = 0; ; call++) {
  const key = `${random(100)}`
  const length = random(20) === 0 ? random(20_000) : random(100)
  if (random(5) === 0) map.delete(key)
  else map.set(key, `${key}:${length}:${'abcdefgh'[random(8)].repeat(length)}`)
  if (random(3) === 0) map.get(`${random(100)}`)
  if (call === 100) {
    if (isMainThread) process.stdout.write('begun\n')
    else parentPort.postMessage('begun')
  }
}
