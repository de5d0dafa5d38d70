/**
 * Processes that have one heap open at the same time, in a file or a named region: which of them
 * may open it, what each sees of the others, and what happens when one is killed or stopped.
 * kills.test.ts kills many more.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  copyFileSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Heap, type HeapFileOptions, OffheapError } from '../../lib/index.js'
import { FileMapping } from '../../lib/memory/file-mapping.js'
import { barrier } from '../../lib/memory/shared-memory.js'
import { HALF_WORDS, LIVES, LIVES_AT, outboxOf, recordOf } from '../../lib/sharing/control.js'
import {
  BOOT_ID_WORD,
  CONTROL_WORD,
  OPEN,
  STATE_WORD,
  SYNCED
} from '../../lib/sharing/superblock.js'
import { expectError } from '../heap/support.js'
import { type Compiled, compile } from '../memory/compiled.js'
import { kill, launch } from './holders.js'
import { COUNTS, partsOf } from './ledger.mjs'
import { newFolder } from './support.js'

const MIB = 2 ** 20
const REGION = `test-${process.pid}`
const REGION_PATH = `/dev/shm/offheap-${REGION}`

const folder = newFolder()
/** The URL of a compiled file of lib/memory. */
const memoryUrl = (name: string): string =>
  JSON.stringify(compiled.region.replace('region.js', `${name}.js`))

let compiled: Compiled
beforeAll(() => {
  compiled = compile('heap')
})
afterAll(() => {
  compiled.remove()
  rmSync(folder, { recursive: true })
  for (const end of ['', '-a', '-b']) rmSync(REGION_PATH + end, { force: true })
})

let files = 0
const newPath = (): string => join(folder, `${files++}.heap`)

function create(path: string, options: HeapFileOptions = {}): Heap {
  return Heap.open(path, { size: 4 * MIB, create: true, shared: true, arenas: 4, ...options })
}
const joined = (path: string, options: HeapFileOptions = {}): Heap =>
  Heap.open(path, { shared: true, ...options })

const wordsOf = (path: string): Int32Array<ArrayBuffer> =>
  new Int32Array(new Uint8Array(readFileSync(path)).buffer)

/** Changes words of a file that is not open. */
function change(path: string, by: (words: Int32Array) => void): void {
  const words = wordsOf(path)
  by(words)
  writeFileSync(path, words)
}

describe.runIf(process.platform === 'linux')('a heap file that is shared', () => {
  test('is the same heap for every process that has it open', () => {
    const path = newPath()
    const one = create(path)
    const two = joined(path)
    const pointer = one.malloc(100)
    one.u8[pointer] = 5
    expect(two.u8[pointer]).toBe(5)
    expect(two.owns(pointer)).toBe(true)
    two.free(pointer)
    expect(one.stats().blocks).toBe(0)
    expectError(() => one.free(pointer), 'ERR_OFFHEAP_DOUBLE_FREE')
    const view = two.alloc(8)
    expectError(() => one.free(view), 'ERR_OFFHEAP_FOREIGN_VIEW')
    const kept = view.byteOffset
    one.root = kept
    expect(two.root).toBe(kept)
    one.close()
    two.check()
    expect(wordsOf(path)[STATE_WORD]).toBe(OPEN)
    two.close()
    expect(wordsOf(path)[STATE_WORD]).toBe(SYNCED)
    using three = joined(path)
    expect(three.recovered).toBeUndefined()
    expect(three.root).toBe(kept)
    expect(three.stats()).toMatchObject({ blocks: 1 })
  })

  test('has the same named roots everywhere, and one process can sync or reset it for all', () => {
    const path = newPath()
    using one = create(path)
    using two = joined(path)
    one.roots.set('a', one.malloc(8))
    two.roots.set('b', two.malloc(8))
    expect(one.roots.keys()).toEqual(['a', 'b'])
    expect(two.roots.get('a')).toBeGreaterThan(0)
    expect(two.roots.delete('a')).toBe(true)
    expect(one.roots.get('a')).toBeUndefined()
    expectError(() => one.roots.set('', 0), 'ERR_INVALID_ARG_VALUE')
    expectError(() => one.roots.set('x', 12), 'ERR_OFFHEAP_INVALID_POINTER')
    expect(one.sync()).toBe(1)
    expect(two.sync()).toBe(2)
    one.reset()
    expect(two.roots.keys()).toEqual([])
    expect(two.stats().blocks).toBe(0)
    expectError(() => one.handle(), 'ERR_OFFHEAP_UNSUPPORTED', /opened by its path/)
  })

  test('rejects options that contradict the file', () => {
    const path = newPath()
    create(path, { placement: 'best-fit', slabs: true }).close()
    const wrong = 'ERR_OUT_OF_RANGE'
    expectError(() => joined(path, { arenas: 3 }), wrong, /"options.arenas".* 4, as in the file/)
    expectError(() => joined(path, { size: 8 * MIB }), wrong, /the size of/)
    expectError(() => joined(path, { placement: 'next-fit' }), wrong, /'best-fit', as in the file/)
    expectError(() => joined(path, { slabs: false }), wrong, /true, as in the file/)
    expectError(() => Heap.open(path), 'ERR_OFFHEAP_UNSUPPORTED', /open it with shared: true/)
    create(path, { placement: 'best-fit', slabs: true }).close()
    const other = newPath()
    Heap.open(other, { size: MIB, create: true }).close()
    expectError(() => joined(other), 'ERR_OFFHEAP_UNSUPPORTED', /open it without "shared"/)
  })

  test('validates its options', () => {
    const path = newPath()
    const open = (options: object) => () => Reflect.apply(Heap.open, Heap, [path, options])
    expectError(open({ shared: 1 }), 'ERR_INVALID_ARG_TYPE', /shared/)
    expectError(open({ arenas: 2 }), 'ERR_OUT_OF_RANGE', /left out unless "shared" is true/)
    expectError(open({ shared: true, arenas: 33 }), 'ERR_OUT_OF_RANGE', /from 1 to 32/)
    expectError(open({ shared: true, busyTimeout: -1 }), 'ERR_OUT_OF_RANGE', /busyTimeout/)
    expectError(open({ shared: true, create: true }), 'ERR_INVALID_ARG_TYPE', /size/)
    for (const size of [0, 1000, 65536, 100_000.5, 2 ** 50]) {
      expectError(open({ shared: true, create: true, size, arenas: 2 }), 'ERR_OUT_OF_RANGE', /size/)
    }
    expectError(open({ shared: true }), 'ERR_OFFHEAP_SYSTEM', /no such file/)
  })

  test('cannot be opened for one process alone at the same time', () => {
    const path = newPath()
    const shared = create(path)
    expectError(() => Heap.open(path), 'ERR_OFFHEAP_LOCKED', /in use by process \d+, and shared/)
    expectError(
      () => Heap.open(path, { size: MIB, create: true }),
      'ERR_OFFHEAP_LOCKED',
      new RegExp(`by process ${process.pid}`)
    )
    shared.close()
    const other = newPath()
    const single = Heap.open(other, { size: MIB, create: true })
    expectError(() => joined(other), 'ERR_OFFHEAP_LOCKED', /Close it there first/)
    expectError(() => create(other), 'ERR_OFFHEAP_LOCKED')
    single.close()
  })

  test('throws ERR_OFFHEAP_BUSY when another thread takes too long to open it', () => {
    const path = newPath()
    using heap = create(path)
    const door = FileMapping.open(path, 'write')
    expect(door.lock(1, 'exclusive')).toBe(true)
    expectError(() => joined(path, { busyTimeout: 5 }), 'ERR_OFFHEAP_BUSY', /opening or closing/)
    door.close()
    joined(path).close()
    heap.check()
  })

  test('can be opened by up to 256 threads', () => {
    const path = newPath()
    using heap = create(path, { arenas: 1, size: MIB })
    const others = Array.from({ length: 255 }, () => joined(path))
    expectError(() => joined(path), 'ERR_OFFHEAP_BUSY', /256 threads/)
    for (const other of others) other.free(other.malloc(100))
    for (const other of others) other.close()
    joined(path).close()
    heap.check()
  })

  test('reserves disk space again after another process has trimmed it', () => {
    const path = newPath()
    using one = create(path, { size: 32 * MIB, arenas: 2 })
    using two = joined(path)
    const large = 8 * MIB
    const disk = (): number => statSync(path).blocks * 512
    const pointers = [one.malloc(large), two.malloc(large)]
    expect(Math.abs(pointers[0] - pointers[1])).toBeGreaterThan(large)
    const before = disk()
    expect(before).toBeGreaterThan(2 * large)
    one.free(pointers[0])
    two.free(pointers[1])
    one.trim()
    expect(disk()).toBeLessThan(before - 1.5 * large)
    // The blocks are not written to.
    one.malloc(large)
    two.malloc(large)
    expect(disk()).toBeGreaterThan(2 * large)
    one.check()
  })

  test('is detached from a worker that is terminated', async () => {
    const path = newPath()
    using heap = create(path, { arenas: 1, size: MIB })
    const lives = (): number =>
      wordsOf(path)
        .subarray(LIVES_AT, LIVES_AT + LIVES)
        .filter(life => life % 2 !== 0).length
    const code = `
      import { parentPort } from 'node:worker_threads'
      import { Heap } from ${JSON.stringify(compiled.heap)}
      const heap = Heap.open(${JSON.stringify(path)}, { shared: true })
      heap.root = heap.malloc(100)
      parentPort.postMessage('ready')
      for (;;) heap.free(heap.malloc(8))`
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
    await once(worker, 'message')
    expect(lives()).toBe(2)
    expect(heap.owns(heap.root)).toBe(true)
    await worker.terminate()
    expect(lives()).toBe(1)
    heap.check()
    heap.free(heap.root)
    expect(heap.stats().blocks).toBeLessThanOrEqual(1)
  })

  test('that is truncated makes every call throw in each process, and none crashes', () => {
    const path = newPath()
    using one = create(path)
    using two = joined(path)
    const pointer = one.malloc(100)
    const other = two.malloc(100)
    truncateSync(path, 100_000)
    const gone = 'ERR_OFFHEAP_TRUNCATED'
    for (const heap of [one, two]) {
      for (const use of [
        () => heap.free(pointer),
        () => heap.realloc(other, 5000),
        () => heap.malloc(100),
        () => heap.calloc(100, 1),
        () => heap.alignedAlloc(64, 100),
        () => heap.usableSize(pointer),
        () => heap.stats(),
        () => heap.check(),
        () => heap.trim(),
        () => heap.roots.keys(),
        () => heap.sync(),
        () => heap.reset()
      ]) {
        // The first access to a page beyond the end of the file detects the truncation.
        heap.u8[heap.u8.length - 1] = 1
        expectError(use, gone)
      }
    }
    expect(statSync(path).size).toBe(100_000)
  })
})

describe.runIf(process.platform === 'linux')('a shared file that was not closed', () => {
  /** Copies the file: the state that a kill would leave now. */
  const left = (path: string): string => {
    const copy = newPath()
    copyFileSync(path, copy)
    return copy
  }

  test.each(['first-fit', 'segregated-fit'] as const)('is recovered: %s', placement => {
    const path = newPath()
    using one = create(path, { placement })
    using two = joined(path)
    const pointers = Array.from({ length: 200 }, (_, i) => (i % 2 ? one : two).malloc(i * 3))
    for (const [i, pointer] of pointers.entries()) one.view(pointer).fill(i)
    // Some of these blocks are in the other arena, so their pointers wait in an outbox.
    for (const [i, pointer] of pointers.entries()) if (i % 3 === 0) one.free(pointer)
    const copy = left(path)
    expectError(() => joined(copy, { recover: false }), 'ERR_OFFHEAP_UNCLEAN', /was not closed/)
    using again = joined(copy)
    const { blocks } = one.stats()
    expect(again.recovered).toEqual({
      blocks,
      undone: 0,
      milliseconds: expect.any(Number),
      rebooted: false
    })
    for (const [i, pointer] of pointers.entries()) {
      expect(again.owns(pointer)).toBe(i % 3 !== 0)
      if (i % 3 !== 0) expect(new Set(again.view(pointer))).toEqual(new Set([i]))
    }
    again.check()
  })

  test('discards the outboxes if the machine was restarted', () => {
    const path = newPath()
    using one = create(path, { arenas: 2 })
    using two = joined(path)
    const pointer = two.malloc(100)
    one.free(pointer)
    const copy = left(path)
    change(copy, words => void words.fill(7, BOOT_ID_WORD, BOOT_ID_WORD + 4))
    using again = joined(copy)
    expect(again.recovered).toMatchObject({ rebooted: true, blocks: 1 })
    again.free(pointer)
    again.check()
  })

  test('can be opened with any content in its control area', () => {
    const path = newPath()
    const heap = create(path, { arenas: 3, size: MIB })
    const pointers = Array.from({ length: 50 }, (_, i) => heap.malloc(i * 10))
    const copy = left(path)
    heap.close()
    let seed = 1
    const random = (): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0
      return seed
    }
    for (const state of [OPEN, SYNCED]) {
      for (const [begin, count] of [
        [LIVES_AT, LIVES],
        [recordOf(0), 3 * 32],
        [outboxOf(3, 0, 0), 2 * HALF_WORDS * 9],
        [LIVES_AT, LIVES + 3 * 32 + 2 * HALF_WORDS * 9]
      ]) {
        for (const value of [random, () => -1, () => 1, () => 0x7fffffff]) {
          const file = left(copy)
          change(file, words => {
            words[STATE_WORD] = state
            for (let word = begin; word < begin + count; word++) words[word] = value()
          })
          const again = joined(file, { busyTimeout: 100 })
          again.check()
          for (let i = 0; i < 100; i++) again.free(again.malloc(50))
          again.check()
          // Outboxes may have freed some of them.
          for (const pointer of pointers) if (again.owns(pointer)) again.free(pointer)
          again.close()
          rmSync(file)
        }
      }
    }
  })

  test('is rejected when it is corrupt, and left unchanged', () => {
    const path = newPath()
    const heap = create(path, { arenas: 2, size: MIB })
    heap.malloc(1000)
    const body = 65536 / 4
    const copy = left(path)
    heap.close()
    const cases: [change: (words: Int32Array) => void, code: string][] = [
      [words => words.fill(0, body, body + 32), 'ERR_OFFHEAP_NOT_A_HEAP'],
      [words => void words.set([77], body + 2), 'ERR_OFFHEAP_CORRUPT|ERR_OFFHEAP_NOT_A_HEAP'],
      [words => void words.set([2], body + 12), 'ERR_OFFHEAP_CORRUPT'],
      [words => void words.set([-9], body + 5), 'ERR_OFFHEAP_NOT_A_HEAP'],
      [words => void words.set([3], CONTROL_WORD), 'ERR_OFFHEAP_NOT_A_HEAP'],
      [
        words => words.fill(-1, body + 80, body + 5000),
        'ERR_OFFHEAP_NOT_A_HEAP|ERR_OFFHEAP_CORRUPT'
      ]
    ]
    for (const [by, code] of cases) {
      const file = left(copy)
      change(file, by)
      expectError(() => joined(file), code)
      expect(wordsOf(file)[STATE_WORD]).toBe(OPEN)
      rmSync(file)
    }
  })
})

describe.runIf(process.platform === 'linux')('a named region in memory', () => {
  test('is shared by all processes of the user until it is deleted', async () => {
    const heap = create(`shm:${REGION}-a`)
    const file = `/dev/shm/offheap-${REGION}-a`
    expect(statSync(file).mode & 0o777).toBe(0o600)
    heap.root = heap.calloc(COUNTS + 100, 4)
    const { counts } = partsOf(heap, heap.root)
    const child = await launch(compiled, `shm:${REGION}-a`, '0', '1')
    while (Atomics.load(counts, 0) < 100) await setTimeout(1)
    await kill(child)
    heap.close()
    using again = joined(`shm:${REGION}-a`)
    expect(again.recovered).toBeUndefined()
    expect(again.i32[again.root / 4]).toBeGreaterThanOrEqual(100)
    again.check()
    rmSync(file)
    expectError(() => joined(`shm:${REGION}-a`), 'ERR_OFFHEAP_SYSTEM', /no such file/)
  })

  test('must have a simple name, and must belong to the user', () => {
    for (const name of ['', '../x', 'a/b', 'a b', 'x'.repeat(201), 'ä']) {
      expectError(() => create(`shm:${name}`), 'ERR_INVALID_ARG_VALUE', /letters, digits/)
    }
    const file = `/dev/shm/offheap-${REGION}-b`
    symlinkSync(newPath(), file)
    expectError(() => create(`shm:${REGION}-b`), 'ERR_OFFHEAP_SYSTEM', /another user/)
    rmSync(file)
    // Only root can change the owner of a file.
    if (process.getuid?.() !== 0) return
    writeFileSync(file, '')
    chownSync(file, 12_345, 12_345)
    expectError(() => create(`shm:${REGION}-b`), 'ERR_OFFHEAP_SYSTEM', /another user/)
    rmSync(file)
  })
})

describe.runIf(process.platform === 'linux')('a process that is stopped', () => {
  test('in the middle of a call makes others throw ERR_OFFHEAP_BUSY after a while', async () => {
    const path = newPath()
    using heap = create(path, { busyTimeout: 20 })
    for (let i = 0; i < 2000; i++) heap.malloc(8)
    // Before the child starts: on a busy machine it can be in the heap for more than 20 ms.
    const before = heap.stats().blocks
    const child = await launch(compiled, path, 'look')
    // The child is in the heap nearly all the time.
    for (let code = ''; code !== 'ERR_OFFHEAP_BUSY'; ) {
      child.kill('SIGSTOP')
      while (stateOf(child) !== 'T') await setTimeout(1)
      try {
        heap.stats()
      } catch (error) {
        code = error instanceof OffheapError ? error.code : String(error)
      }
      if (code === 'ERR_OFFHEAP_BUSY') {
        expectError(() => heap.check(), 'ERR_OFFHEAP_BUSY', /in the same arena for too long/)
      }
      child.kill('SIGCONT')
    }
    while (stateOf(child) === 'T') await setTimeout(1)
    using patient = joined(path)
    expect(patient.stats().blocks).toBe(before)
    await kill(child)
    expect(heap.stats().blocks).toBe(before)
    heap.check()
  })

  /** The state of the process: T when it is stopped. */
  const stateOf = (child: ChildProcess): string =>
    readFileSync(`/proc/${child.pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .slice(0, 1)
})

describe.runIf(process.platform === 'linux')('a process that checks the heap', () => {
  test('sees it between two calls of every other process', async () => {
    const path = newPath()
    using heap = create(path, { size: MIB, arenas: 2 })
    heap.root = heap.calloc(COUNTS + 20, 4)
    const { counts } = partsOf(heap, heap.root)
    const child = await launch(compiled, path, '0', '1')
    for (let looks = 0; looks < 500; looks++) heap.check()
    const done = Atomics.load(counts, 0)
    while (Atomics.load(counts, 0) === done) {
      expect(child.exitCode).toBeNull()
      await setTimeout(1)
    }
    await kill(child)
    heap.check()
  })
})

describe.runIf(process.platform === 'linux')('the barrier', () => {
  // The protocol of access.ts without a heap. Without the barrier, increments are lost.
  test.runIf(barrier(true))('reaches the threads of other processes', async () => {
    const path = newPath()
    writeFileSync(path, new Uint8Array(2 * 65536))
    const mapping = FileMapping.open(path, 'write')
    const { head } = mapping.map(65536, 65536, { offset: 0, stride: 0, count: 0, value: 0 })
    const words = new Int32Array(head)
    const owner = `
      import { FileMapping } from ${memoryUrl('file-mapping')}
      import { barrier } from ${memoryUrl('shared-memory')}
      barrier(true)
      const mapping = FileMapping.open(${JSON.stringify(path)}, 'write')
      const marks = { offset: 0, stride: 0, count: 0, value: 0 }
      const words = new Int32Array(mapping.map(65536, 65536, marks).head)
      function work(words) {
        let done = 0
        for (let i = 0; i < 100_000; i++) {
          words[0] = 1
          if (words[1] === 0) {
            words[32]++
            done++
          }
          words[0] = 0
        }
        return done
      }
      let sum = 0
      for (Atomics.store(words, 64, 1); Atomics.load(words, 65) === 0; ) sum += work(words)
      Atomics.store(words, 66, sum)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', owner], {
      stdio: ['ignore', 'inherit', 'inherit']
    })
    const ended = once(child, 'exit')
    while (Atomics.load(words, 64) === 0) await setTimeout(1)
    const added = intrude(words, 10_000)
    Atomics.store(words, 65, 1)
    await ended
    expect(Atomics.load(words, 32)).toBe((Atomics.load(words, 66) + added) | 0)
    mapping.close()
  })

  function intrude(words: Int32Array, times: number): number {
    for (let i = 0; i < times; i++) {
      Atomics.store(words, 1, 1)
      barrier(true)
      while (Atomics.load(words, 0) !== 0) {}
      words[32]++
      Atomics.store(words, 1, 0)
      for (let pause = 0; pause < 200; pause++) Atomics.load(words, 96)
    }
    return times
  }
})
