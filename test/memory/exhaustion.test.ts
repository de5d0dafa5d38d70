/**
 * Exhausted resources: the bytes of a heap, and the address space, writable memory, locked memory,
 * mappings and descriptors of a process. Each must cause an error, and leave the heap unchanged and
 * the process alive.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants as files, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { type Compiled, compile } from './compiled.js'
import { onLinux, underAsan } from './maps.js'

const { ENOMEM } = constants.errno
const MiB = 2 ** 20

describe.each(['first-fit', 'best-fit', 'next-fit', 'segregated-fit'] as const)(
  'a full heap, %s,',
  placement => {
    /** A heap in which not even one byte can be allocated. */
    function full(): Heap {
      const heap = Heap.map({ size: MiB, placement })
      for (let size = 40_000; size >= 0; size = size > 100 ? Math.floor(size / 2) : size - 1) {
        for (let pointer = heap.malloc(size); pointer !== 0; pointer = heap.malloc(size))
          heap.view(pointer).fill(size)
      }
      return heap
    }

    const image = (heap: Heap) => createHash('sha256').update(heap.u8).digest('hex')

    test('makes allocations return 0 or throw, and no byte changes', () => {
      const heap = full()
      const [before, figures] = [image(heap), heap.stats()]
      const [{ pointer, size } = { pointer: 0, size: 0 }] = heap.blocks()
      expect([
        heap.malloc(0),
        heap.malloc(1),
        heap.malloc(2 ** 40),
        heap.calloc(1, 1),
        heap.calloc(2 ** 50, 2 ** 50),
        heap.alignedAlloc(4096, 1),
        heap.realloc(0, 1),
        heap.realloc(pointer, size + 1),
        heap.realloc(pointer, Number.MAX_SAFE_INTEGER)
      ]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0])
      const told = expect.objectContaining({ code: 'ERR_OFFHEAP_OUT_OF_MEMORY' })
      expect(() => heap.alloc(1)).toThrow(told)
      expect(() => heap.allocZeroed(1)).toThrow(told)
      expect(() => heap.allocBuffer(1)).toThrow(told)
      expect(() => heap.allocArray(Float64Array, 1)).toThrow(told)
      expect(heap.stats()).toEqual(figures)
      expect(image(heap)).toBe(before)
      heap.check()
      heap.close()
    })

    test('can allocate freed blocks again', () => {
      const heap = full()
      const blocks = [...heap.blocks()].filter(({ used }) => used)
      const one = blocks[Math.floor(blocks.length / 2)]
      heap.free(one?.pointer ?? 0)
      expect(heap.malloc((one?.size ?? 0) - 4)).toBe(one?.pointer)
      for (const { pointer } of blocks) heap.free(pointer)
      expect(heap.stats()).toMatchObject({ blocks: 0, used: 0 })
      heap.check()
      heap.close()
    })
  }
)

describe.runIf(onLinux)('a process at its limit of', () => {
  let compiled: Compiled
  beforeAll(() => {
    compiled = compile('heap')
  })
  afterAll(() => compiled.remove())

  /** Defined before each script: a heap with contents, and a function that detects changes. */
  const prelude = `
    import { execFileSync } from 'node:child_process'
    import { createHash } from 'node:crypto'
    import { readFileSync } from 'node:fs'
    import { setFlagsFromString } from 'node:v8'
    const MiB = 2 ** 20
    const statusText = () => readFileSync('/proc/self/status', 'utf8')
    const status = name => Number(new RegExp(name + ':\\\\s+(\\\\d+)').exec(statusText())[1]) * 1024
    const limit = (...limits) => execFileSync('prlimit', ['--pid', String(process.pid), ...limits])
    const heap = Heap.map(8 * MiB)
    for (let size = 0; size < 3000; size++) heap.alloc(size).fill(size)
    for (const [index, { pointer }] of [...heap.blocks()].entries())
      if (index % 3 === 0) heap.free(pointer)
    const state = () => {
      heap.check()
      return JSON.stringify([createHash('sha256').update(heap.u8).digest('hex'), heap.stats()])
    }
    const start = state()
    const stays = () => state() === start
    const told = []
    const attempt = call => {
      try {
        return call()
      } catch (error) {
        told.push([error.code, error.syscall, error.errno])
      }
    }
    process.on('exit', () => console.log(JSON.stringify(told)))
  `

  function run(body: string, prefix: readonly string[] = []): unknown {
    const { stdout, stderr, status, signal } = compiled.run(prelude + body, prefix)
    expect({ stderr, status, signal }).toEqual({ stderr: '', status: 0, signal: null })
    return JSON.parse(stdout)
  }

  const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0
  const noPrlimit = 'prlimit, which lowers the limit, is not installed'

  test(
    'address space (RLIMIT_AS, ulimit -v): larger regions are rejected, smaller ones still ' +
      'work',
    ({ skip }) => {
      if (!hasPrlimit) skip(noPrlimit)
      if (underAsan) skip(underAsan)
      expect(
        run(`
        // Room for eight heaps, and for V8, which aborts when it gets no memory.
        limit('--as=' + (status('VmSize') + (8 * 128 + 64) * MiB))
        const heaps = []
        for (let more = true; more; ) {
          const next = attempt(() => Heap.map(128 * MiB))
          if (next) heaps.push(next)
          more = next !== undefined
        }
        attempt(() => Region.map({ size: 512 * MiB, hugePages: true }))
        told.push(heaps.length > 0, stays())
        for (const each of heaps.splice(0)) { each.alloc(MiB).fill(1); each.check(); each.close() }
        // The addresses of closed heaps become free when their buffers are collected.
        for (let turn = 0; turn < 10; turn++) {
          gc()
          await new Promise(resolve => setImmediate(resolve))
        }
        Heap.map(128 * MiB).close()
        told.push(stays())`)
      ).toEqual([
        ['ERR_OFFHEAP_SYSTEM', 'mmap', ENOMEM],
        ['ERR_OFFHEAP_SYSTEM', 'mmap', ENOMEM],
        true,
        true,
        true
      ])
    }
  )

  test('writable memory (RLIMIT_DATA, ulimit -d): protection of pages can still be lifted', ({
    skip
  }) => {
    if (!hasPrlimit) skip(noPrlimit)
    if (underAsan) skip(underAsan)
    expect(
      run(`
        const region = Region.map(64 * MiB)
        const bytes = new Uint8Array(region.buffer).fill(1)
        region.protect(0, 32 * MiB, 'none')
        // V8 aborts when it gets no memory: from here on it compiles nothing, and has room for a
        // few objects.
        for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug']) setFlagsFromString(flag)
        gc()
        limit('--data=' + (status('VmData') + 2 * MiB))
        attempt(() => Heap.map(512 * MiB))
        const many = []
        for (const size of [MiB / 8, 4096]) {
          for (let more = true; more; ) {
            const next = attempt(() => Region.map(size))
            if (next) many.push(next)
            more = next !== undefined
          }
        }
        for (let page = 0; page < 300; page++) bytes[page * 4096] += 1
        for (const each of many) each.close()
        told.push(region.faults().length)
        told.push(bytes[0], bytes[1], bytes[299 * 4096], bytes[40 * MiB], stays())`)
    ).toEqual([
      ['ERR_OFFHEAP_SYSTEM', 'mprotect', ENOMEM],
      ['ERR_OFFHEAP_SYSTEM', 'mprotect', ENOMEM],
      ['ERR_OFFHEAP_SYSTEM', 'mprotect', ENOMEM],
      256,
      2,
      1,
      2,
      1,
      true
    ])
  })

  test('locked memory (RLIMIT_MEMLOCK, ulimit -l)', ({ skip }) => {
    if (underAsan) skip(underAsan)
    const unprivileged = ['setpriv', '--inh-caps=-ipc_lock', '--bounding-set=-ipc_lock', '--']
    const [command = '', ...words] = [
      ...(process.getuid?.() === 0 ? unprivileged : []),
      ...['prlimit', '--memlock=65536:65536']
    ]
    if (spawnSync(command, [...words, 'true']).status !== 0)
      skip('setpriv or prlimit, which lower the limit, is not installed')
    const body = `
      attempt(() => Heap.map({ size: MiB, lock: true }))
      attempt(() => Heap.map({ size: MiB, lock: true, hugePages: true, populate: true }))
      const small = Heap.map({ size: 32768, lock: true })
      attempt(() => Heap.map({ size: 65536, lock: true }))
      small.alloc(1000).fill(1)
      small.check()
      told.push(stays())`
    const refused = ['ERR_OFFHEAP_SYSTEM', 'mlock', ENOMEM]
    expect(run(body, [command, ...words])).toEqual([refused, refused, refused, true])
  })

  test('descriptors (RLIMIT_NOFILE, ulimit -n): heaps and regions need none', ({ skip }) => {
    if (!hasPrlimit) skip(noPrlimit)
    const figures = run(`
      import { openSync } from 'node:fs'
      limit('--nofile=3:')
      attempt(() => openSync('/dev/null'))
      const kinds = [{}, { hugePages: true }, { populate: true }, { lock: true }, { guard: false }]
      for (const options of kinds) {
        const other = Heap.map({ size: 65536, ...options })
        other.alloc(100).fill(1)
        other.trim()
        other.close()
      }
      const region = Region.map(65536)
      region.protect(0, 4096, 'none')
      told.push(new Uint8Array(region.buffer)[7], region.faults())
      region.decommit(0, 4096)
      told.push(region.residentBytes())
      region.close()
      told.push(stays())`)
    expect(figures).toEqual([['EMFILE', 'open', -constants.errno.EMFILE], 0, [7], 0, true])
  })

  test('descriptors before the first mapping: the addon can be loaded later', ({ skip }) => {
    if (!hasPrlimit) skip(noPrlimit)
    const body = `
      import { closeSync, openSync } from 'node:fs'
      const taken = []
      try { for (;;) taken.push(openSync('/dev/null')) } catch {}
      let told
      try { Heap.map(65536) } catch (error) { told = error.code + ': ' + error.message }
      for (const each of taken) closeSync(each)
      console.log(told)
      console.log(Heap.map(65536).malloc(100) > 0)`
    const { stdout, stderr } = compiled.run(body, ['prlimit', '--nofile=200:'])
    expect({ stdout, stderr }).toEqual({
      stdout: expect.stringMatching(/^ERR_OFFHEAP_NO_ADDON: .*too many open files.*\ntrue\n$/i),
      stderr: ''
    })
  })

  test('a memory cgroup: returned pages can be used again, in total many times the limit', ({
    skip
  }) => {
    const group = memoryGroup(256 * MiB)
    if (group === undefined) return skip('no memory cgroup can be created here')
    try {
      const body = `
        const large = Heap.map(2048 * MiB)
        const kept = large.alloc(MiB).fill(7)
        for (let round = 0; round < 10; round++) {
          const pointer = large.malloc(128 * MiB)
          large.u8.fill(round + 1, pointer, pointer + 128 * MiB)
          large.free(pointer)
          large.trim()
          Region.map({ size: 64 * MiB, populate: true }).close()
        }
        large.check()
        told.push(kept.every(byte => byte === 7), large.stats().residentBytes < 16 * MiB, stays())`
      expect(run(body, enter(group))).toEqual([true, true, true])
    } finally {
      rmdirSync(group)
    }
  })

  test('a memory cgroup without the OOM killer: populate and lock throw', ({ skip }) => {
    if (underAsan) skip(underAsan)
    const group = memoryGroup(256 * MiB)
    if (group === undefined) return skip('no memory cgroup can be created here')
    try {
      if (!killsNobody(group))
        skip('only cgroups of version 1 can refuse memory: others kill the process')
      const body = `
        attempt(() => Heap.map({ size: 512 * MiB, populate: true }))
        try {
          Heap.map({ size: 512 * MiB, lock: true })
        } catch (error) {
          told.push(error.code, error.message)
        }
        told.push(stays())`
      expect(run(body, enter(group, 256 * MiB))).toEqual([
        ['ERR_OFFHEAP_SYSTEM', 'madvise', ENOMEM],
        'ERR_OFFHEAP_SYSTEM',
        expect.stringMatching(
          /(mlock: EAGAIN|mprotect: ENOMEM).*of its cgroup|mlock: ENOMEM.*RLIMIT_MEMLOCK/
        ),
        true
      ])
    } finally {
      rmdirSync(group)
    }
  })
})

/**
 * Creates a memory cgroup (version 1 or 2) with a limit in bytes. Returns undefined if this process
 * is not allowed to.
 */
function memoryGroup(limit: number): string | undefined {
  const places = [
    ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
    ['/sys/fs/cgroup', 'memory.max']
  ] as const
  for (const [root, file] of places) {
    const group = `${root}/offheap-test-${process.pid}`
    try {
      accessSync(`${root}/cgroup.procs`, files.W_OK)
      mkdirSync(group)
      writeFileSync(`${group}/${file}`, String(limit))
      return group
    } catch {}
  }
  return undefined
}

/**
 * Turns off the OOM killer of a cgroup. Returns false if that fails: only version 1 supports it.
 */
function killsNobody(group: string): boolean {
  try {
    writeFileSync(`${group}/memory.oom_control`, '1')
    return true
  } catch {
    return false
  }
}

/**
 * Returns a command that runs another command in the group. A group without the OOM killer suspends
 * a process that needs a new page at the limit. So a `limit` in bytes is raised by 4 MiB each
 * second, which lets the process continue.
 */
function enter(group: string, limit?: number): readonly string[] {
  const grow = `limit=$((limit + ${4 * MiB})); echo $limit > ${group}/memory.limit_in_bytes`
  const waker = `limit=${limit}; (while sleep 1 && kill -0 $$; do ${grow}; done) > /dev/null 2>&1 &`
  return [
    'sh',
    '-c',
    `${limit === undefined ? '' : waker} echo $$ > ${group}/cgroup.procs && exec "$0" "$@"`
  ]
}
