/**
 * The system calls behind a heap file, run in a separate process: the order in which sync() and
 * close() write, and the state of the heap after a system call fails.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compiled, compile } from '../memory/compiled.js'
import { onLinux } from '../memory/maps.js'

const prelude = `
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
const MiB = 2 ** 20
const path = join(import.meta.dirname, 'file.heap')
const log = join(import.meta.dirname, 'calls.txt')
rmSync(path, { force: true })
rmSync(log, { force: true })
const print = value => console.log(JSON.stringify(value))
const open = (options = {}) => Heap.open(path, { size: 16 * MiB, create: true, ...options })
const noted = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\\n') : [])
const fail = order => { process.env.OFFHEAP_CALLS_FAIL = order }
const codeOf = call => {
  try {
    return call()
  } catch (error) {
    return error.code + ' ' + error.syscall + ' ' + error.errno
  }
}
const stateIn = () => new Int32Array(new Uint8Array(readFileSync(path)).buffer)[16]
`

describe.runIf(onLinux)('a heap file', () => {
  let compiled: Compiled
  let shim: string
  beforeAll(() => {
    compiled = compile('heap')
    shim = join(compiled.folder, 'calls.so')
    const source = fileURLToPath(new URL('../native/calls.c', import.meta.url))
    execFileSync('cc', ['-shared', '-fPIC', '-o', shim, source, '-ldl'])
  })
  afterAll(() => compiled.remove())

  function run(body: string): unknown[] {
    const preload = [shim, process.env.LD_PRELOAD].filter(Boolean).join(':')
    const { stdout, stderr, status, signal } = compiled.run(prelude + body, [
      'env',
      `LD_PRELOAD=${preload}`
    ])
    expect({ stderr, status, signal }).toEqual({ stderr: '', status: 0, signal: null })
    return stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
  }

  test('sync() writes all pages before the generation, and close() before the state', () => {
    const [calls] = run(`
      const heap = open()
      heap.malloc(100)
      process.env.OFFHEAP_CALLS = log
      heap.sync()
      heap.close()
      print(noted())`)
    expect(calls).toEqual([
      'msync 16777216 state 1 generation 0',
      'fdatasync 0 state 1 generation 0',
      'msync 4096 state 1 generation 1',
      'fdatasync 0 state 1 generation 1',
      'msync 16777216 state 1 generation 1',
      'fdatasync 0 state 1 generation 1',
      'msync 4096 state 1 generation 2',
      'fdatasync 0 state 1 generation 2',
      'msync 4096 state 3 generation 2',
      'fdatasync 0 state 3 generation 2'
    ])
  })

  const kinds = ['{}', '{ shared: true, arenas: 2 }']

  test.each([
    ['msync', '{}'],
    ['fdatasync', '{}'],
    ['msync', '{ shared: true, arenas: 2 }']
  ])(
    'when %s fails, close() throws, and marks the file as closed but not synced: %s',
    (call, kind) => {
      const told = run(`
      const heap = open(${kind})
      const pointer = heap.malloc(100)
      heap.u8[pointer] = 5
      heap.sync()
      fail('${call} 5')
      print(codeOf(() => heap.sync()))
      print(codeOf(() => heap.close()))
      print([heap.closed, stateIn()])
      fail('')
      const again = open(${kind})
      print([again.recovered === undefined, again.u8[pointer], again.sync()])
      again.close()`)
      const refused = `ERR_OFFHEAP_SYSTEM ${call} 5`
      expect(told).toEqual([refused, refused, [true, 2], [true, 5, 2]])
    }
  )

  test.each(kinds)('on a full disk, a call that would grow the heap throws: %s', kind => {
    const told = run(`
      const heap = open(${kind})
      const small = heap.malloc(100)
      fail('fallocate 28')
      for (const call of [
        () => heap.malloc(4 * MiB),
        () => heap.calloc(4, MiB),
        () => heap.alloc(4 * MiB).length,
        () => heap.alignedAlloc(4096, 4 * MiB),
        () => heap.realloc(small, 4 * MiB)
      ]) print(codeOf(call))
      heap.check()
      print([heap.stats().blocks, heap.owns(small)])
      fail('')
      print([heap.malloc(4 * MiB) > 0, heap.malloc(64 * MiB)])
      heap.check()
      heap.close()`)
    const refused = 'ERR_OFFHEAP_SYSTEM fallocate 28'
    expect(told).toEqual([refused, refused, refused, refused, refused, [1, true], [true, 0]])
  })

  test.each([
    ['ftruncate 28', '{}'],
    ['fallocate 28', '{}'],
    ['fallocate 122', '{}'],
    ['fallocate 28', '{ shared: true, arenas: 2 }']
  ])('can be created after an attempt that failed with %s: %s', (order, kind) => {
    const told = run(`
      fail('${order}')
      print(codeOf(() => open(${kind})))
      fail('')
      print(codeOf(() => Heap.open(path)))
      const heap = open(${kind})
      heap.check()
      print(heap.malloc(8) > 0)`)
    expect(told).toEqual([
      `ERR_OFFHEAP_SYSTEM ${order}`,
      'ERR_OFFHEAP_NOT_A_HEAP undefined undefined',
      true
    ])
  })

  test('trim() throws on a file system that cannot punch holes, and changes nothing', () => {
    const told = run(`
      const heap = open()
      heap.free(heap.malloc(4 * MiB))
      fail('fallocate 95')
      print(codeOf(() => heap.trim()))
      fail('')
      heap.check()
      print(heap.malloc(4 * MiB) > 0)`)
    expect(told).toEqual(['ERR_OFFHEAP_SYSTEM fallocate 95', true])
  })

  test('where fallocate is not supported, disk space is reserved by writing zeros', () => {
    const told = run(`
      fail('fallocate 95')
      const heap = open()
      const pointer = heap.malloc(MiB)
      heap.u8.fill(9, pointer, pointer + MiB)
      heap.malloc(2 * MiB)
      print(heap.u8.subarray(pointer, pointer + MiB).every(byte => byte === 9))
      heap.check()`)
    expect(told).toEqual([true])
  })

  test('the process survives when Node itself accesses the heap of a truncated file', () => {
    const told = run(`
      import { openSync, readSync, truncateSync, writeSync } from 'node:fs'
      const heap = open()
      const bytes = heap.alloc(8 * MiB).fill(1)
      truncateSync(path, 100000)
      const file = openSync(join(import.meta.dirname, 'other'), 'w+')
      print(codeOf(() => writeSync(file, bytes)) === 0 || true)
      print(bytes.at(-1))
      print(codeOf(() => heap.malloc(8)))
      heap.close()`)
    expect(told).toEqual([true, 0, 'ERR_OFFHEAP_TRUNCATED undefined undefined'])
  })
})
