/**
 * Every system call of the addon fails once, at every place where it is made. Each failure must
 * cause an error that names the call, and must leave the region and the heap unchanged: the same
 * bytes, mappings, protections and statistics.
 */
import { execFileSync } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compiled, compile } from './compiled.js'
import { onLinux } from './maps.js'

const { ENOMEM, EPERM, EAGAIN } = constants.errno

/**
 * Defined before each script: a heap with contents, a region, and `refuseEach`.
 */
const prelude = `
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const MiB = 2 ** 20
const page = 4096
let orders = 0
const refuse = (nth, errno) => { process.env.OFFHEAP_REFUSE = nth + ' ' + errno + ' ' + orders++ }
const allow = () => { process.env.OFFHEAP_REFUSE = '' }
const digest = bytes => createHash('sha256').update(bytes).digest('hex')

const heap = Heap.map(8 * MiB)
const blocks = []
for (let size = 1; size < 2000; size++) blocks.push(heap.alloc(size).fill(size))
const large = heap.malloc(2 * MiB)
heap.malloc(1)
heap.u8.fill(7, large, large + 2 * MiB)
for (let index = 0; index < blocks.length; index += 3) heap.free(blocks[index])
heap.free(large)

const region = Region.map({ size: 64 * page, guard: false })
const bytes = new Uint8Array(region.buffer).fill(9)

function accesses({ address }, size) {
  const ranges = []
  const limit = address + size
  for (const line of readFileSync('/proc/self/maps', 'utf8').trim().split('\\n')) {
    const [, start, end, access] = /^(\\w+)-(\\w+) (\\S+)/.exec(line)
    const [from, to] = [BigInt('0x' + start), BigInt('0x' + end)]
    const [first, last] = [from > address ? from : address, to < limit ? to : limit]
    if (last > first) ranges.push([Number(first - address), Number(last - first), access])
  }
  return ranges
}
function addressSpace() {
  const status = readFileSync('/proc/self/status', 'utf8')
  return Number(/VmSize:\\s+(\\d+)/.exec(status)[1]) * 1024
}

function payloads() {
  const hash = createHash('sha256')
  for (const { used, pointer, size } of heap.blocks())
    if (used) hash.update(heap.u8.subarray(pointer, pointer + size - 4))
  return hash.digest('hex')
}

/** Everything that must not change. Of the first 8 pages, only the access is compared. */
function state() {
  allow()
  heap.check()
  return JSON.stringify([
    region.byteLength,
    digest(bytes.subarray(8 * page)),
    accesses(region, BigInt(64 * page)),
    region.faults(),
    payloads(),
    { ...heap.stats(), residentBytes: 0 }
  ])
}

/** Runs the operation with the first system call failing, then the second, until none fails. */
function refuseEach(errno, operation, prepare = () => {}) {
  const told = []
  for (let nth = 1; ; nth++) {
    prepare()
    const before = state()
    const space = addressSpace()
    let error
    let result
    refuse(nth, errno)
    try { result = operation() } catch (thrown) { error = thrown }
    allow()
    if (error === undefined) return { told, result }
    const { code, syscall, message } = error
    const isExpected = code === 'ERR_OFFHEAP_SYSTEM' && error.errno === errno
    told.push(isExpected ? syscall : String(error))
    if (!message.includes('(' + syscall + ': ')) told.push('a message without its call: ' + message)
    if (state() !== before) told.push('changed by ' + syscall + ': ' + before + ' → ' + state())
    if (addressSpace() - space > 128 * MiB) told.push('memory left mapped by ' + syscall)
  }
}
const report = ({ told }) => console.log(JSON.stringify(told))
`

describe.runIf(onLinux)('after a failed system call,', () => {
  let compiled: Compiled
  let shim: string
  beforeAll(() => {
    compiled = compile('heap')
    shim = join(compiled.folder, 'refuse.so')
    const source = fileURLToPath(new URL('../native/refuse.c', import.meta.url))
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

  /** The system calls in order, each of which fails once. */
  const maps: [string, string, string[]][] = [
    ['Region.map', 'Region.map(256 * MiB)', ['mmap', 'mprotect']],
    [
      'Region.map without guard',
      'Region.map({ size: 256 * MiB, guard: false })',
      ['mmap', 'mprotect']
    ],
    ['Heap.map', 'Heap.map(256 * MiB)', ['mmap', 'mprotect']],
    [
      'Region.map with populate',
      'Region.map({ size: MiB, populate: true })',
      ['mmap', 'mprotect', 'madvise']
    ],
    [
      'Region.map with lock',
      'Region.map({ size: page, lock: true })',
      ['mmap', 'mprotect', 'mlock']
    ]
  ]

  test.each(maps)('%s leaves nothing mapped', (_, call, syscalls) => {
    const told = run(`for (const errno of [${ENOMEM}, ${EPERM}, ${EAGAIN}]) {
      const outcome = refuseEach(errno, () => ${call})
      outcome.result.close()
      report(outcome)
    }`)
    expect(told).toEqual([syscalls, syscalls, syscalls])
  })

  test('Region.map with hugePages leaves nothing mapped', () => {
    // Alignment reserves more addresses, then unmaps those before and after the region, if any.
    const [told] = run(`
      const options = { size: 256 * MiB, hugePages: true }
      const outcome = refuseEach(${ENOMEM}, () => Region.map(options))
      outcome.result.close()
      report(outcome)`)
    expect(new Set(Array.isArray(told) ? told : [])).toEqual(
      new Set(['mmap', 'munmap', 'mprotect', 'madvise'])
    )
  })

  test('decommit leaves the bytes unchanged', () => {
    expect(
      run(`report(refuseEach(${ENOMEM}, () => region.decommit(16 * page, 4 * page)))
      console.log(JSON.stringify([bytes[16 * page], bytes[20 * page]]))`)
    ).toEqual([['madvise'], [0, 9]])
  })

  test('decommit of protected pages leaves their bytes and protection unchanged', () => {
    expect(
      run(`region.protect(16 * page, 2 * page, 'read')
      const before = state()
      refuse(1, ${ENOMEM})
      try { region.decommit(16 * page, 4 * page) } catch (error) {
        console.log(JSON.stringify([error.code, error.syscall, state() === before]))
      }
      refuse(2, ${ENOMEM})
      try { region.decommit(16 * page, 4 * page) } catch (error) {
        allow()
        const values = [bytes[16 * page], bytes[18 * page]]
        console.log(JSON.stringify([error.code, error.syscall, ...values]))
      }`)
    ).toEqual([
      ['ERR_OFFHEAP_SYSTEM', 'mprotect', true],
      ['ERR_OFFHEAP_SYSTEM', 'madvise', 9, 9]
    ])
  })

  test('protect leaves the protection unchanged, also at its first call', () => {
    const [first, second] = run(`
      report(refuseEach(${ENOMEM}, () => region.protect(0, 4 * page, 'none')))
      report(refuseEach(${ENOMEM}, () => region.protect(16 * page, 4 * page, 'read')))
      bytes[1] = 1
      bytes[17 * page] = 2
      console.log(JSON.stringify([region.faults(), bytes[0], bytes[1], bytes[17 * page]]))`)
    // The first protection in a process fills the reserve of mappings.
    expect(new Set(Array.isArray(first) ? first : [])).toEqual(new Set(['mmap', 'mprotect']))
    expect(new Set(Array.isArray(second) ? second : [])).toEqual(new Set(['mprotect']))
  })

  test('a protection is lifted in another way', () => {
    expect(
      run(`
      for (const nth of [1, 2, 3]) {
        region.protect(0, 8 * page, 'none')
        refuse(nth, ${ENOMEM})
        bytes[page] = nth
        allow()
        console.log(JSON.stringify([bytes[page], region.faults()]))
      }`)
    ).toEqual([
      [1, [4096]],
      [2, [4096]],
      [3, [4096]]
    ])
  })

  test('residentBytes and stats change nothing', () => {
    expect(
      run(`report(refuseEach(${ENOMEM}, () => region.residentBytes()))
      report(refuseEach(${ENOMEM}, () => heap.stats()))`)
    ).toEqual([['mincore'], ['mincore']])
  })

  test('trim leaves a sound heap, and the next trim returns the remaining pages', () => {
    const [told, trimmed] = run(`
      const outcome = refuseEach(${ENOMEM}, () => heap.trim())
      report(outcome)
      console.log(heap.stats().residentBytes < 3 * MiB)`)
    expect(new Set(Array.isArray(told) ? told : [])).toEqual(new Set(['mincore', 'madvise']))
    expect(trimmed).toBe(true)
  })

  test('close leaves the region open and protected, and a second close succeeds', () => {
    expect(
      run(`
      region.protect(0, 4 * page, 'none')
      refuse(1, ${ENOMEM})
      const told = []
      const before = state()
      refuse(1, ${ENOMEM})
      try { region.close() } catch (error) { told.push(error.code, error.syscall, error.errno) }
      told.push(state() === before, region.closed)
      bytes[page] = 4
      told.push(region.faults(), bytes[page], bytes[0])
      region.close()
      told.push(region.closed)
      console.log(JSON.stringify(told))
      refuse(1, ${ENOMEM})
      try { heap.close() } catch (error) {
        console.log(JSON.stringify([error.code, error.syscall, heap.closed]))
      }
      allow()
      heap.check()
      heap.free(heap.malloc(100))
      heap.close()
      console.log(heap.closed)`)
    ).toEqual([
      ['ERR_OFFHEAP_SYSTEM', 'mmap', ENOMEM, true, false, [4096], 4, 9, true],
      ['ERR_OFFHEAP_SYSTEM', 'mmap', false],
      true
    ])
  })

  test('a finalizer leaves the process alive', () => {
    expect(
      run(`
      function drop() { new Uint8Array(Region.map(MiB).buffer)[0] = 1 }
      for (let count = 0; count < 50; count++) drop()
      for (let turn = 0; turn < 20; turn++) {
        refuse(3, ${ENOMEM})
        globalThis.gc()
        await new Promise(resolve => setImmediate(resolve))
      }
      allow()
      heap.check()
      console.log(Region.map(MiB).byteLength)`)
    ).toEqual([2 ** 20])
  })

  test.each([
    [EPERM, /security policy.*seccomp/],
    [ENOMEM, /free address space or memory/]
  ])('the message explains the error %d', (errno, meaning) => {
    const [message] = run(`refuse(1, ${errno})
      try { Heap.map(MiB) } catch (error) { console.log(JSON.stringify(error.message)) }`)
    expect(message).toMatch(meaning)
  })
})
