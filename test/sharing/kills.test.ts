/**
 * Processes that are killed with SIGKILL while they work on a heap file, and while they recover
 * one. No block from before the last call is lost, no other block appears, and no byte has changed.
 * OFFHEAP_KILLS=1000 kills 1000 processes under load, 200 during recovery, and 300 that share a
 * file.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { on, once } from 'node:events'
import { closeSync, openSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Heap, placements } from '../../lib/index.js'
import { OPEN, STATE_WORD } from '../../lib/sharing/superblock.js'
import { type Compiled, compile } from '../memory/compiled.js'
import { kill as killHolder, launch } from './holders.js'
import { COUNTS, judge as judgeLedger, partsOf } from './ledger.mjs'
import { newFolder } from './support.js'

const KILLS = Number(process.env.OFFHEAP_KILLS ?? 4)
/** The number of kills for each kind of shared heap. */
const HOLDERS = Math.max(2, Math.ceil(KILLS * 0.15))
const REGION = `test-kills-${process.pid}`
const SCRIPT = fileURLToPath(new URL('load.mjs', import.meta.url))
const folder = newFolder()

let compiled: Compiled
beforeAll(() => {
  compiled = compile('heap')
})
afterAll(() => {
  compiled.remove()
  rmSync(folder, { recursive: true })
  rmSync(`/dev/shm/offheap-${REGION}`, { force: true })
})

const kinds = placements.flatMap(placement => [false, true].map(slabs => ({ placement, slabs })))

interface Round {
  readonly path: string
  readonly seed: number
  readonly options: object
}

/** Starts the script, and waits until it prints `word`. */
async function runUntil(
  word: string,
  args: readonly string[],
  size: number
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [SCRIPT, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, OFFHEAP_LOAD_SIZE: String(size) }
  })
  for await (const text of on(child.stdout, 'data', { close: ['end'] }))
    if (String(text).includes(word)) break
  return child
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** Kills a process under load, after a random number of calls. */
async function kill({ path, seed, options }: Round, most: number, size: number): Promise<void> {
  const calls = 1 + Math.floor(Math.random() ** 2 * most)
  const words = [path, String(seed), JSON.stringify(options), String(calls)]
  const child = await runUntil('working', ['run', compiled.heap, ...words], size)
  await endOf(child)
  expect(child.signalCode).toBe('SIGKILL')
}

/** Expects that all heaps left behind are right. Returns the number of calls and blocks of each. */
function judge(rounds: readonly Round[], size: number): { done: number; blocks: number }[] {
  const words = rounds.flatMap(({ path, seed, options }) => [
    path,
    String(seed),
    JSON.stringify(options)
  ])
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [SCRIPT, 'judge', compiled.heap, ...words],
    {
      encoding: 'utf8',
      env: { ...process.env, OFFHEAP_LOAD_SIZE: String(size) }
    }
  )
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  const found: unknown[] = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  for (const { path } of rounds)
    for (const name of [path, `${path}.journal`]) rmSync(name, { force: true })
  expect(found.filter(one => typeof one === 'string')).toEqual([])
  return found.flatMap(one =>
    typeof one === 'object' && one !== null && 'done' in one && 'blocks' in one
      ? [{ done: Number(one.done), blocks: Number(one.blocks) }]
      : []
  )
}

/** The numbers of the rounds, in batches of `size` for each test. */
const batches = (rounds: number, size: number): number[][] =>
  Array.from({ length: Math.ceil(rounds / size) }, (_, batch) =>
    Array.from({ length: Math.min(size, rounds - batch * size) }, (_, i) => batch * size + i)
  )

describe('a process that is killed', () => {
  test.each(batches(KILLS, kinds.length))(
    'under load loses no data, from kill %i on',
    async (...numbers) => {
      const size = 2 ** 21
      const rounds = numbers.map(number => ({
        path: join(folder, `${number}.heap`),
        seed: Math.floor(Math.random() * 2 ** 31),
        options: kinds[number % kinds.length]
      }))
      for (const round of rounds) await kill(round, 5000, size)
      const done = judge(rounds, size).map(one => one.done)
      if (process.env.OFFHEAP_KILLS) console.log(`killed after ${done.join(', ')} calls`)
      expect(done.length).toBe(rounds.length)
    }
  )

  test.each(batches(Math.ceil(KILLS / 5), 1))(
    'during recovery leaves a heap that can be recovered again, kill %i',
    async number => {
      const size = 2 ** 24
      const path = join(folder, `recovery-${number}.heap`)
      const round = { path, seed: number + 1, options: kinds[number % kinds.length] }
      await kill(round, 20_000, size)
      let inside = 0
      // Kill several recoveries, each a little later than the one before.
      for (let turn = 0; turn < 5 && stateOf(path) === OPEN; turn++) {
        const child = await runUntil('opening', ['open', compiled.heap, path], size)
        for (let left = Math.random() * turn * 1000; left > 0; left--) stateOf(path)
        await endOf(child)
        if (stateOf(path) === OPEN) inside++
      }
      if (process.env.OFFHEAP_KILLS) console.log(`${inside} kills before a recovery was complete`)
      // If a recovery was completed, the file is closed, and there is nothing to judge.
      if (stateOf(path) === OPEN) judge([round], size)
    }
  )
})

const word = Buffer.alloc(4)

/** The state word of a heap file. */
function stateOf(path: string): number {
  const file = openSync(path, 'r')
  try {
    readSync(file, word, 0, 4, STATE_WORD * 4)
    return word.readInt32LE()
  } finally {
    closeSync(file)
  }
}

describe.runIf(process.platform === 'linux')('processes that are killed at any moment', () => {
  test.each([
    ['file', { arenas: 4, placement: 'first-fit', slabs: false, size: 2 ** 23 }],
    [`shm:${REGION}`, { arenas: 2, placement: 'segregated-fit', slabs: true, size: 2 ** 22 }]
  ] as const)(
    'lose no block of a heap in %s, and block no other process',
    async (name, options) => {
      const path = name === 'file' ? join(folder, 'shared.heap') : name
      const heap = Heap.open(path, { ...options, create: true, shared: true })
      heap.root = heap.calloc(COUNTS + 600, 4)
      const parts = partsOf(heap, heap.root)
      const { counts } = parts
      let seeds = 1000 * options.arenas
      const start = (index: number): Promise<ChildProcess> =>
        launch(compiled, path, String(index), String(seeds++))
      const children = await Promise.all([0, 1, 2].map(start))
      let operations = 0
      for (let killed = 0; killed < HOLDERS; killed++) {
        await setTimeout(killed % 7)
        const index = killed % 3
        await killHolder(children[index])
        // Meanwhile the other processes continue: none waits for the killed one.
        const others = [1, 2].map(other => (index + other) % 3)
        const before = others.map(other => Atomics.load(counts, other))
        while (others.some((other, i) => Atomics.load(counts, other) === before[i])) {
          for (const other of others) expect(children[other].exitCode).toBeNull()
          await setTimeout(1)
        }
        if (killed % 3 === 0) heap.check()
        operations += Atomics.exchange(counts, index, 0)
        children[index] = await start(index)
      }
      for (const child of children) await killHolder(child)
      const rest = judgeLedger(heap, parts)
      // The block of the ledger, and at most two for each killed process: those of a realloc.
      expect(rest).toBeGreaterThanOrEqual(1)
      expect(rest).toBeLessThanOrEqual(1 + 2 * (HOLDERS + 3))
      heap.close()
      expect(Heap.open(path, { shared: true }).recovered).toBeUndefined()
      if (process.env.OFFHEAP_KILLS) {
        console.log(`${name}: ${HOLDERS} kills, ${operations} operations, ${rest} blocks left`)
      }
    }
  )
})
