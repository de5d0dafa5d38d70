/**
 * Kills processes with SIGKILL while they work on a map in a heap file. Everything that completed
 * calls have stored is there, the interrupted call has completed or had no effect, and check()
 * passes. OFFHEAP_KILLS=300 kills 300 processes.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { type EvictionPolicy, HeapMap } from '../../lib/map/index.js'
import { type Compiled, compile } from '../memory/compiled.js'
import { apply } from './load-steps.mjs'

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
  const child = spawn(
    process.execPath,
    [SCRIPT, compiled.heap, compiled.map, path, String(seed), eviction],
    {
      stdio: ['ignore', 'ignore', 'inherit']
    }
  )
  const wanted = Math.floor(Math.random() ** 2 * 8000)
  const ended = once(child, 'exit')
  let over = false
  void ended.then(() => {
    over = true
  })
  while (!over && callsDone(`${path}.journal`) <= wanted)
    await new Promise(resolve => setImmediate(resolve))
  child.kill('SIGKILL')
  expect(await ended).toEqual([null, 'SIGKILL'])
  const calls = callsDone(`${path}.journal`)
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
  for (const file of [path, `${path}.journal`]) rmSync(file)
  return calls
}

test(`a process that is killed ${KILLS} times loses no entry`, async () => {
  let calls = 0
  for (let i = 0; i < KILLS; i++) calls += await kill(`${i}.heap`, policies[i % 3])
  if (process.env.OFFHEAP_KILLS) console.log(`${KILLS} kills, ${calls} calls`)
  expect(calls).toBeGreaterThan(0)
})
