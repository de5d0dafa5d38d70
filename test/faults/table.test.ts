/**
 * The table of faults: each kind of misuse, injected into busy heaps at random places. 200 of each
 * kind in a test run; `node test/check.js faults` makes 10,000, and writes docs/faults.md. A
 * hardened heap must detect every kind that can be detected, and every heap must continue or throw
 * an error with a code.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HeapOptions } from '../../lib/index.js'
import { startWatchdog, type Watchdog } from '../hang.js'
import { type Compiled, compile } from '../memory/compiled.js'
import { documentOf, type Table } from './document.js'
import type { Kind } from './kind.js'
import { lifetimeKinds } from './kinds/lifetimes.js'
import { pointerKinds } from './kinds/pointers.js'
import { regionKinds } from './kinds/regions.js'
import { writeKinds } from './kinds/writes.js'
import { Random } from './random.js'
import { runKind, type Tally } from './run.js'
import { Scene } from './scene.js'
import { runWorkers } from './workers.js'

const wanted = process.env.OFFHEAP_FAULTS
const times = wanted === undefined ? 200 : Number(wanted)
const seed = Number(process.env.OFFHEAP_FAULTS_SEED ?? (Math.random() * 2 ** 31) | 0)
const QUARANTINE = 8192
const PLACEMENT = 'first-fit'

const heaps: readonly [HeapOptions, HeapOptions] = [
  { placement: PLACEMENT },
  { placement: PLACEMENT, hardened: true, quarantine: QUARANTINE }
]

const groups: readonly (readonly [string, readonly Kind[]])[] = [
  ['Pointers', pointerKinds],
  ['Writes', writeKinds],
  ['After the end', lifetimeKinds],
  ['Regions', regionKinds]
]

const rows = new Map<string, [Tally, Tally]>()

let watchdog: Watchdog
let compiled: Compiled | undefined
beforeAll(() => {
  watchdog = startWatchdog()
  console.log(`seed ${seed}, ${times} of each kind`)
})
afterAll(async () => {
  await watchdog.stop()
  compiled?.remove()
})

test.each(heaps)('a busy heap without misuse throws no error (%o)', options => {
  for (let i = 0; i < 50; i++) {
    const scene = new Scene(options, new Random(seed, i))
    for (let k = 0; k < 5; k++) {
      scene.restore(new Random(seed, i, k))
      for (let n = 0; n < 50; n++) scene.step()
      scene.finish()
    }
  }
})

describe.each(groups)('%s', (_, kinds) => {
  test.each(kinds)('$name', kind => {
    const [plain, hardened] = heaps.map(options =>
      runKind(kind, options, times, seed, watchdog.beat)
    )
    if (plain === undefined || hardened === undefined) return
    if (kind.hopeless === undefined) expect(hardened.moments.missed).toBe(0)
    rows.set(kind.name, [plain, hardened])
  })
})

test('with a worker', async () => {
  compiled = compile('heap')
  const [plain = [], hardened = []] = await Promise.all(
    heaps.map(options => runWorkers(compiled?.heap ?? '', options, Math.min(times, 1000), seed))
  )
  for (const [i, tally] of hardened.entries()) {
    expect(tally.moments.missed).toBe(0)
    rows.set(tally.kind.name, [plain[i] ?? tally, tally])
  }
})

test.runIf(wanted !== undefined)('docs/faults.md', () => {
  const known = new Set(groups.flatMap(([, kinds]) => kinds.map(({ name }) => name)))
  const tables: Table[] = groups.map(([title, kinds]) => ({
    title,
    tallies: kinds.map(({ name }) => rows.get(name)).filter(row => row !== undefined)
  }))
  tables.push({
    title: 'Threads',
    tallies: [...rows].filter(([name]) => !known.has(name)).map(([, row]) => row)
  })
  const text = documentOf(tables, { times, seed, quarantine: QUARANTINE, placement: PLACEMENT })
  writeFileSync(fileURLToPath(new URL('../../docs/faults.md', import.meta.url)), text)
})
