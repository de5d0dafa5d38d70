/**
 * Processes that are killed, with SIGKILL, while they work on a heap file and while they recover one. Nothing that was
 * allocated before the last call is lost, nothing that was not is there, and no byte has changed. OFFHEAP_KILLS=1000 kills as many
 * under load, and a fifth as many during recovery.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { placements } from '../../lib/index.js'
import { headBytes, OPEN, ROOT_WORD, STATE_WORD } from '../../lib/sharing/superblock.js'
import { type Compiled, compile } from '../memory/compiled.js'

const KILLS = Number(process.env.OFFHEAP_KILLS ?? 4)
const SCRIPT = fileURLToPath(new URL('load.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'offheap-kills-'))

let compiled: Compiled
beforeAll(() => {
  compiled = compile('heap')
})
afterAll(() => {
  compiled.remove()
  rmSync(folder, { recursive: true })
})

const kinds = placements.flatMap(placement => [false, true].map(slabs => ({ placement, slabs })))

interface Round {
  readonly path: string
  readonly seed: number
  readonly options: object
}

/** Waits until something is so, a turn of the event loop at a time. */
async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise(resolve => setImmediate(resolve))
}

const word = Buffer.alloc(4)

/** A word of a file; 0 when it has none there. */
function wordOf(file: number, index: number): number {
  return readSync(file, word, 0, 4, index * 4) === 4 ? word.readInt32LE() : 0
}

/** How many calls were done on a heap, as its journal says. */
function callsDone(journal: string): number {
  if (!existsSync(journal)) return 0
  const file = openSync(journal, 'r')
  try {
    const root = wordOf(file, ROOT_WORD) * 2
    return root === 0 ? 0 : wordOf(file, headBytes(0) / 4 + root + 1)
  } finally {
    closeSync(file)
  }
}

/** Kills a process under load, once it made a random number of calls. */
async function kill(round: Round, most: number, size: number): Promise<void> {
  const { path, seed, options } = round
  const child = spawn(process.execPath, [SCRIPT, 'run', compiled.heap, path, String(seed), JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, OFFHEAP_LOAD_SIZE: String(size) }
  })
  const calls = 1 + Math.floor(Math.random() ** 2 * most)
  const ended = once(child, 'exit')
  let over = false
  void ended.then(() => {
    over = true
  })
  await until(() => over || callsDone(`${path}.journal`) >= calls)
  child.kill('SIGKILL')
  expect(await ended).toEqual([null, 'SIGKILL'])
}

/** What is wrong with the heaps that are left; of the others, what they are. */
function judge(rounds: readonly Round[], size: number): { done: number; blocks: number }[] {
  const words = rounds.flatMap(({ path, seed, options }) => [path, String(seed), JSON.stringify(options)])
  const { stdout, stderr, status } = spawnSync(process.execPath, [SCRIPT, 'judge', compiled.heap, ...words], {
    encoding: 'utf8',
    env: { ...process.env, OFFHEAP_LOAD_SIZE: String(size) }
  })
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  const found: unknown[] = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  for (const { path } of rounds) for (const name of [path, `${path}.journal`]) rmSync(name, { force: true })
  expect(found.filter(one => typeof one === 'string')).toEqual([])
  return found.flatMap(one =>
    typeof one === 'object' && one !== null && 'done' in one && 'blocks' in one
      ? [{ done: Number(one.done), blocks: Number(one.blocks) }]
      : []
  )
}

describe('a process that is killed', () => {
  test(`under load, ${KILLS} times: nothing is lost`, async () => {
    const size = 2 ** 21
    let calls = 0
    for (let at = 0; at < KILLS; at += kinds.length) {
      const rounds = kinds.slice(0, KILLS - at).map((options, i) => ({
        path: join(folder, `${at + i}.heap`),
        seed: Math.floor(Math.random() * 2 ** 31),
        options
      }))
      for (const round of rounds) await kill(round, 5000, size)
      for (const { done } of judge(rounds, size)) calls += done
    }
    if (process.env.OFFHEAP_KILLS) console.log(`${KILLS} kills, ${calls} calls`)
    expect(calls).toBeGreaterThan(0)
  })

  const recoveries = Math.ceil(KILLS / 5)
  test(`during recovery, ${recoveries} times: the next one is the same`, async () => {
    const size = 2 ** 25
    let inside = 0
    for (let at = 0; at < recoveries; at++) {
      const options = kinds[at % kinds.length]
      const round = { path: join(folder, `recovery-${at}.heap`), seed: at + 1, options }
      await kill(round, process.env.OFFHEAP_KILLS ? 20_000 : 5000, size)
      // Killed again and again, each time a little later.
      for (let turns = 0; turns < 5; turns++) {
        const child = spawn(process.execPath, [SCRIPT, 'open', compiled.heap, round.path], {
          stdio: ['ignore', 'pipe', 'inherit']
        })
        let said = ''
        child.stdout.setEncoding('utf8').on('data', text => {
          said += text
        })
        await until(() => said.includes('opening'))
        let left = Math.floor(Math.random() * 200 * turns)
        await until(() => left-- <= 0)
        child.kill('SIGKILL')
        await once(child, 'close')
        if (said.includes('opened')) break
        inside++
      }
      const copy = `${round.path}.again`
      copyFileSync(round.path, copy)
      copyFileSync(`${round.path}.journal`, `${copy}.journal`)
      rmSync(round.path)
      rmSync(`${round.path}.journal`)
      const state = new Int32Array(new Uint8Array(readFileSync(copy)).buffer)[STATE_WORD]
      // One that was recovered in time is closed now, and there is nothing left to judge.
      if (state === OPEN) judge([{ ...round, path: copy }], size)
      else for (const name of [copy, `${copy}.journal`]) rmSync(name)
    }
    if (process.env.OFFHEAP_KILLS) console.log(`${inside} kills before a recovery was complete`)
  })
})
