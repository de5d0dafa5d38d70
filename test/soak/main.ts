/**
 * `node test/check.js soak`: a mixed load. Default: one hour. Every payload is compared with what
 * was written, the heap checks itself every few seconds, and utilization, time of a call and memory
 * of the process have to stay what they were after the first minute. Ends non-zero when anything of
 * that fails.
 */
import { parseArgs } from 'node:util'
import { Heap, type PlacementName, placements } from '#lib/index.js'
import {
  mebibytes,
  median,
  percent,
  RSS_TOLERANCE,
  type Sample,
  TIME_TOLERANCE,
  UTILIZATION_TOLERANCE,
  unevenness,
  WARM_UP
} from './flatness.js'
import { type Cost, Load } from './load.js'

const MiB = 2 ** 20
/** Milliseconds between two calls of check(). */
const CHECK_EVERY = 5000
/**
 * So many cycles lie between two calls of trim(), and between two lives of the heap that is emptied
 * now and then.
 */
const TRIM_EVERY = 20
const RESET_EVERY = 10

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    placement: { type: 'string', default: 'first-fit' },
    slabs: { type: 'boolean', default: false },
    'trim-threshold': { type: 'string', default: '0' },
    hardened: { type: 'boolean', default: false },
    size: { type: 'string', default: '64' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false }
  }
})

process.exitCode = values.help ? help() : main()

function help(): number {
  console.log(`node test/check.js soak [--minutes 60] [--placement ${placements.join('|')}]
  [--slabs] [--trim-threshold MiB] [--hardened] [--size MiB] [--seed N]

Prints a line every minute, or every ten seconds if the run is shorter than ten minutes. From the
second minute on, utilization must stay within ${100 * UTILIZATION_TOLERANCE} percentage points of
its median; a call in the last third may take at most ${percent(TIME_TOLERANCE)} longer than in the
first third, relative to random memory accesses that are timed beside it; and the process may grow
by at most ${percent(RSS_TOLERANCE)}.`)
  return 0
}

function placementOf(name: string): PlacementName {
  const found = placements.find(placement => placement === name)
  if (found === undefined) throw new Error(`--placement takes one of ${placements.join(', ')}`)
  return found
}

function numberOf(name: 'minutes' | 'size' | 'seed' | 'trim-threshold', least: number): number {
  const number = Number(values[name])
  if (!(number >= least))
    throw new Error(`--${name} takes a number from ${least}, not ${values[name]}`)
  return number
}

function map(): Heap {
  const trimThreshold = numberOf('trim-threshold', 0) * MiB
  return Heap.map({
    size: numberOf('size', 16) * MiB,
    placement: placementOf(values.placement),
    slabs: values.slabs,
    ...(trimThreshold > 0 ? { trimThreshold } : {}),
    ...(values.hardened ? { hardened: true } : {})
  })
}

function main(): number {
  const seconds = numberOf('minutes', 0.1) * 60
  const stretch = seconds < 600 ? 10 : 60
  const samples: Sample[] = []
  console.log(
    '      time   utilization   ns/call  accesses        RSS   free blocks     operations'
  )
  try {
    run(seconds, stretch, sample => {
      samples.push(sample)
      console.log(line(sample))
    })
  } catch (error) {
    console.error(error)
    return 1
  }
  const complaints = unevenness(samples)
  for (const complaint of complaints) console.error(complaint)
  const flat =
    seconds > WARM_UP + stretch
      ? 'flat from the second minute on'
      : 'too short a run to tell whether it is flat'
  if (complaints.length === 0) console.log(`every byte was what it should be; ${flat}`)
  return complaints.length === 0 ? 0 : 1
}

function run(seconds: number, stretch: number, tell: (sample: Sample) => void): void {
  using heap = map()
  using other = map()
  const load = new Load(heap, numberOf('seed', 0))
  let brief = new Load(other, numberOf('seed', 0) + 1)
  const blockSpace = heap.stats().metadata - 4
  const begin = performance.now()
  let told = begin
  let checked = begin
  let utilizations: number[] = []
  let costs: Cost[] = []
  for (let cycle = 1; ; cycle++) {
    costs.push(load.cycle())
    const { top, freeBlocks } = heap.stats()
    utilizations.push(load.payload / (top - blockSpace))
    if (cycle % TRIM_EVERY === 0) heap.trim()
    if (cycle % RESET_EVERY === 0) brief = emptied(brief, cycle)
    const now = performance.now()
    if (now - checked >= CHECK_EVERY) {
      heap.check()
      load.verify()
      checked = now
    }
    if (now - told < stretch * 1000) continue
    told = now
    tell({
      seconds: (now - begin) / 1000,
      utilization: utilizations.reduce((sum, part) => sum + part, 0) / utilizations.length,
      nanoseconds: median(costs.map(cost => cost.nanoseconds)),
      accesses: median(costs.map(cost => cost.nanoseconds / cost.reference)),
      rss: process.memoryUsage.rss(),
      freeBlocks,
      operations: load.operations
    })
    if (load.refused > 0)
      throw new Error(
        `${load.refused} requests were refused, and the heap has room for all of them`
      )
    utilizations = []
    costs = []
    if (now - begin >= seconds * 1000) break
  }
  load.clear()
  heap.check()
  if (heap.stats().used !== 0)
    throw new Error(`${heap.stats().used} bytes are used when every block was given back`)
}

/**
 * Uses the heap that is emptied now and then: by reset, or block by block. Returns the next load
 * for it.
 */
function emptied(load: Load, cycle: number): Load {
  load.cycle()
  load.verify()
  load.heap.check()
  if (cycle % (2 * RESET_EVERY) === 0) load.clear()
  else load.heap.reset()
  load.heap.check()
  load.heap.trim()
  return new Load(load.heap, cycle)
}

function line({
  seconds,
  utilization,
  nanoseconds,
  accesses,
  rss,
  freeBlocks,
  operations
}: Sample): string {
  const cells = [
    `${Math.round(seconds)} s`.padStart(10),
    percent(utilization).padStart(13),
    nanoseconds.toFixed(1).padStart(9),
    accesses.toFixed(2).padStart(9),
    mebibytes(rss).padStart(10),
    freeBlocks.toLocaleString('en').padStart(13),
    operations.toLocaleString('en').padStart(14)
  ]
  return cells.join(' ')
}
