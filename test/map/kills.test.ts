/**
 * Kills processes with SIGKILL while they work on a map in a heap file, each alone on a HeapMap or
 * two at once on a SharedMap. Everything that completed calls have stored is there, the interrupted
 * call has completed or had no effect, and check() passes. OFFHEAP_KILLS=300 kills 300 processes of
 * each kind.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { type EvictionPolicy, HeapMap, SharedMap } from '../../lib/map/index.js'
import { type Compiled, compile } from '../memory/compiled.js'
import { apply, ownKeys } from './load-steps.mjs'

const KILLS = Number(process.env.OFFHEAP_KILLS ?? 3)
const SCRIPT = fileURLToPath(new URL('load.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'offheap-map-kills-'))

let compiled: Compiled
beforeAll(() => {
  compiled = compile('map')
})
afterAll(() => {
  compiled.remove()
  rmSync(folder, { recursive: true })
})

/** The number of calls that returned, from the journal. */
function callsDone(path: string): number {
  if (!existsSync(path)) return 0
  const file = openSync(path, 'r')
  const word = Buffer.alloc(4)
  const length = readSync(file, word, 0, 4, 0)
  closeSync(file)
  return length === 4 ? word.readUInt32LE() : 0
}

/** Starts a process that works on the map in a file. */
function start(path: string, seed: number, policy: string): ChildProcess {
  const words = [SCRIPT, compiled.heap, compiled.map, path, String(seed), policy]
  return spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] })
}

const policies: EvictionPolicy[] = ['none', 'lru', 'sieve']

/** The map after these calls, on private memory. */
function after(seed: number, calls: number, eviction: EvictionPolicy): Map<string, string> {
  using map = HeapMap.create<string, string>({ size: 2 ** 24, eviction, max: 3000 })
  for (let call = 0; call < calls; call++) apply(map, seed, call)
  return new Map(map)
}

/**
 * Kills a process after some calls, and checks the file. Returns the number of calls that had
 * returned.
 */
async function kill(name: string, eviction: EvictionPolicy): Promise<number> {
  const path = join(folder, name)
  const seed = Math.floor(Math.random() * 2 ** 31)
  const child = start(path, seed, eviction)
  const journal = `${path}.${seed}.journal`
  const wanted = Math.floor(Math.random() ** 2 * 8000)
  const ended = once(child, 'exit')
  let over = false
  void ended.then(() => {
    over = true
  })
  while (!over && callsDone(journal) <= wanted) await new Promise(resolve => setImmediate(resolve))
  child.kill('SIGKILL')
  expect(await ended).toEqual([null, 'SIGKILL'])
  const calls = callsDone(journal)
  const heap = Heap.open(path)
  const map = HeapMap.open<string, string>(heap)
  map.check()
  const found = [...map]
  const expected = [calls, calls + 1].map(count => [...after(seed, count, eviction)])
  const isOne = expected.some(one => JSON.stringify(one) === JSON.stringify(found))
  // Reports only what is missing, instead of thousands of lines.
  if (!isOne) {
    const both = new Map(expected[0])
    const wrong = found.filter(
      ([key, value]) => both.get(key) !== value && new Map(expected[1]).get(key) !== value
    )
    expect({ calls, size: found.length, wrong }).toEqual({
      calls,
      size: expected[0].length,
      wrong: []
    })
    // After an interrupted call, the order and one entry may differ from both.
    expect(new Set(found.map(([key]) => key)).size).toBe(found.length)
  }
  heap.close()
  for (const file of [path, journal]) rmSync(file)
  return calls
}

test(`a process that is killed ${KILLS} times loses no entry`, async () => {
  let calls = 0
  for (let i = 0; i < KILLS; i++) calls += await kill(`${i}.heap`, policies[i % 3])
  if (process.env.OFFHEAP_KILLS) console.log(`${KILLS} kills, ${calls} calls`)
  expect(calls).toBeGreaterThan(0)
})

/**
 * A process that works on a shared map, on keys of its own. It counts the calls that returned in a
 * word of the heap, so that it is in the middle of a call nearly always.
 */
class Writer {
  readonly seed: number
  private readonly word: number
  private readonly heap: Heap
  private readonly child: ChildProcess

  constructor(heap: Heap, counts: number, seed: number) {
    this.seed = seed
    this.word = counts / 4 + seed
    this.heap = heap
    this.child = start(heap.path ?? '', seed, `shared:${this.word}`)
    onTestFinished(() => void this.child.kill('SIGKILL'))
  }

  get calls(): number {
    return Atomics.load(this.heap.i32, this.word)
  }

  /** Waits until it has made so many calls more. */
  async work(calls: number): Promise<void> {
    const wanted = this.calls + calls
    while (this.calls < wanted) {
      expect([this.child.exitCode, this.child.signalCode]).toEqual([null, null])
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  async kill(): Promise<void> {
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    expect(await ended).toEqual([null, 'SIGKILL'])
  }

  /** Its entries after so many calls. */
  after(calls: number): string {
    using model = HeapMap.create<string, string>({ size: 2 ** 24 })
    const own = ownKeys(model, this.seed)
    for (let call = 0; call < calls; call++) apply(own, this.seed, call)
    return textOf([...model])
  }
}

const textOf = (entries: readonly (readonly [string, string])[]): string =>
  JSON.stringify([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))

test.runIf(process.platform === 'linux')(
  `processes that share a map and are killed ${KILLS} times lose no entry`,
  async () => {
    const path = join(folder, 'shared.heap')
    let heap = Heap.open(path, { size: 2 ** 25, create: true, shared: true, arenas: 4 })
    heap.root = SharedMap.create<string, string>(heap, { shards: 2 }).pointer
    const counts = heap.calloc(KILLS + 2, 4)
    const random = () => Math.floor(Math.random() ** 2 * 3000)
    let [calls, completed] = [0, 0]
    for (let killed = 0; killed < KILLS; killed += 2) {
      const writers = [0, 1].map(index => new Writer(heap, counts, killed + index))
      for (const writer of writers) await writer.work(1)
      // The second one is not held up when the first is killed.
      for (const writer of writers) {
        await writer.work(1 + random())
        await writer.kill()
      }
      const done = writers.map(writer => writer.calls)
      if (killed % 4 === 0) {
        heap.close()
        heap = Heap.open(path, { shared: true })
      }
      const map = SharedMap.open<string, string>(heap)
      map.check()
      const entries = [...map]
      expect(entries).toHaveLength(map.size)
      for (const [index, writer] of writers.entries()) {
        calls += done[index]
        const found = textOf(entries.filter(([key]) => key.startsWith(`${writer.seed} `)))
        if (found === writer.after(done[index])) continue
        // The interrupted call has completed.
        completed++
        const isNext = found === writer.after(done[index] + 1)
        if (!isNext) expect({ done: done[index], found }).toBe('what was stored')
      }
      for (const [key] of entries) expect(map.delete(key)).toBe(true)
      expect(map.size).toBe(0)
    }
    heap.check()
    heap.close()
    if (process.env.OFFHEAP_KILLS)
      console.log(`shared: ${KILLS} kills, ${calls} calls, ${completed} completed when killed`)
  }
)
