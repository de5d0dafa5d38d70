/**
 * What hardening costs: replays the recorded programs of traces/ on a default and on hardened
 * heaps, and prints nanoseconds of processor time for each call and the physical memory that the
 * heap took, as Markdown. Runs on dist/: `node test/check.js cost`.
 */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Heap } from '#lib/index.js'
import { readTrace } from '#lib/trace/read.js'
import { pointersFor, replay } from '#lib/trace/replay.js'

const SIZE = 128 * 2 ** 20
const ROUNDS = 40
/** A heap that records stacks needs fewer rounds. */
const FEW = 4

const kinds = [
  ['default', {}],
  ['hardened, `quarantine: 0`', { hardened: true, quarantine: 0 }],
  ['hardened', { hardened: true }],
  ['hardened, `trackAllocations`', { hardened: true, trackAllocations: true, onLeaks: () => {} }]
]

const folder = fileURLToPath(new URL('../../traces/', import.meta.url))
const names = readdirSync(folder).filter(name => name.endsWith('.rep.gz'))

/**
 * Nanoseconds of processor time for each operation, in the fastest of the rounds; and the bytes
 * that were resident after one.
 */
function measure(trace, options) {
  const rounds = options.trackAllocations ? FEW : ROUNDS
  const times = []
  let resident = 0
  for (let round = 0; round < rounds; round++) {
    const heap = Heap.map({ size: SIZE, ...options })
    const pointers = pointersFor(trace, SIZE)
    const begin = process.cpuUsage()
    replay(trace, heap, pointers)
    const { user, system } = process.cpuUsage(begin)
    times.push(((user + system) * 1000) / trace.length)
    resident = heap.stats().residentBytes
    heap.close()
  }
  return { ns: Math.min(...times), resident }
}

const traces = []
for (const name of names) traces.push(await readTrace(`${folder}${name}`))
console.log(`| trace | calls | ${kinds.map(([name]) => name).join(' | ')} |`)
console.log(`| --- | --- | ${kinds.map(() => '---').join(' | ')} |`)
const sums = kinds.map(() => ({ ns: 0, resident: 0 }))
for (const trace of traces) {
  const cells = kinds.map(([, options], i) => {
    const { ns, resident } = measure(trace, options)
    sums[i].ns += Math.log(ns)
    sums[i].resident += Math.log(resident)
    return `${ns.toFixed(0)} ns, ${(resident / 2 ** 20).toFixed(1)} MiB`
  })
  console.log(`| ${trace.name} | ${trace.length.toLocaleString('en')} | ${cells.join(' | ')} |`)
}
const times = sums.map(({ ns, resident }) => {
  const factor = value => `× ${Math.exp(value / traces.length).toFixed(1)}`
  return `${factor(ns - sums[0].ns)}, ${factor(resident - sums[0].resident)}`
})
console.log(`| geometric mean, to the default | | ${times.join(' | ')} |`)
