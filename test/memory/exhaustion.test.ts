/**
 * What there is only so much of, used up: the heap's own bytes, and the address space, writable
 * memory, locked memory, mappings and descriptors of a process. Each gives an error, the heap stays
 * as it was, the process alive.
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
    /** A heap in which nothing fits any more, not even a byte. */
    function full(): Heap {
      const heap = Heap.map({ size: MiB, placement })
      for (let size = 40_000; size >= 0; size = size > 100 ? Math.floor(size / 2) : size - 1) {
        for (let pointer = heap.malloc(size); pointer !== 0; pointer = heap.malloc(size))
          heap.view(pointer).fill(size)
      }
      return heap
    }

    const image = (heap: Heap) => createHash('sha256').update(heap.u8).digest('hex')

    test('returns 0 or throws, and not one byte changes', () => {
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

    test('serves again what was freed', () => {
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

  /**
   * What a child process defines before each script: a heap with contents, and what must stay of
   * it.
   */
  const prelude = `
    import { execFileSync } from 'node:child_process'
    import { createHash } from 'node:crypto'
    import { readFileSync } from 'node:fs'
    import { setFlagsFromString } from 'node:v8'
    const MiB = 2 ** 20
    const status = name => Number(new RegExp(name + ':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
    const limit = (...limits) => execFileSync('prlimit', ['--pid', String(process.pid), ...limits])
    const heap = Heap.map(8 * MiB)
    for (let size = 0; size < 3000; size++) heap.alloc(size).fill(size)
    for (const { pointer } of [...heap.blocks()].filter((_, index) => index % 3 === 0)) heap.free(pointer)
    const state = () => {
      heap.check()
      return JSON.stringify([createHash('sha256').update(heap.u8).digest('hex'), heap.stats()])
    }
    const start = state()
    const stays = () => state() === start
    const told = []
    const attempt = call => { try { return call() } catch (error) { told.push([error.code, error.syscall, error.errno]) } }
    process.on('exit', () => console.log(JSON.stringify(told)))
  `

  function run(body: string, prefix: readonly string[] = []): unknown {
    const { stdout, stderr, status, signal } = compiled.run(prelude + body, prefix)
    expect({ stderr, status, signal }).toEqual({ stderr: '', status: 0, signal: null })
    return JSON.parse(stdout)
  }

  const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0
  const noPrlimit = 'no prlimit to lower the limit with'

  test(
    'address space (RLIMIT_AS, ulimit -v): what does not fit is refused, what fits still ' +
      'works',
    ({ skip }) => {
      if (!hasPrlimit) skip(noPrlimit)
      if (underAsan) skip(underAsan)
      expect(
        run(`
        limit('--as=' + (status('VmSize') + 1024 * MiB))
        const heaps = []
        for (let more = true; more; ) {
          const next = attempt(() => Heap.map(128 * MiB))
          if (next) heaps.push(next)
          more = next !== undefined
        }
        attempt(() => Region.map({ size: 512 * MiB, hugePages: true }))
        told.push(heaps.length > 0, stays())
        for (const each of heaps.splice(0)) { each.alloc(MiB).fill(1); each.check(); each.close() }
        // The addresses of closed heaps are free when their buffers were collected.
        for (let turn = 0; turn < 10; turn++) { gc(); await new Promise(resolve => setImmediate(resolve)) }
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

  test('writable memory (RLIMIT_DATA, ulimit -d): also with protected pages that must be lifted', ({
    skip
  }) => {
    if (!hasPrlimit) skip(noPrlimit)
    if (underAsan) skip(underAsan)
    expect(
      run(`
        const region = Region.map(64 * MiB)
        const bytes = new Uint8Array(region.buffer).fill(1)
        region.protect(0, 32 * MiB, 'none')
        // V8 aborts when it is refused memory: it compiles nothing from here on, and has room for a
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
        told.push(region.faults().length, bytes[0], bytes[1], bytes[299 * 4096], bytes[40 * MiB], stays())`)
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
      skip('no setpriv and prlimit to lower the limit with')
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

  test('descriptors (RLIMIT_NOFILE, ulimit -n): nothing that is open needs one', ({ skip }) => {
    if (!hasPrlimit) skip(noPrlimit)
    const figures = run(`
      import { openSync } from 'node:fs'
      limit('--nofile=3:')
      attempt(() => openSync('/dev/null'))
      for (const options of [{}, { hugePages: true }, { populate: true }, { lock: true }, { guard: false }]) {
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

  test('descriptors, before anything was mapped: the addon cannot be loaded now, but later', ({
    skip
  }) => {
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

  test('a memory cgroup: what was given back can be used again, many times the limit', ({
    skip
  }) => {
    const group = memoryGroup(256 * MiB)
    if (group === undefined) return skip('no memory cgroup can be made here')
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

  test('a memory cgroup that refuses instead of killing: populate and lock are refused', ({
    skip
  }) => {
    if (underAsan) skip(underAsan)
    const group = memoryGroup(256 * MiB)
    if (group === undefined) return skip('no memory cgroup can be made here')
    try {
      if (!killsNobody(group))
        skip('only cgroups of version 1 can refuse memory: others kill the process')
      const body = `
        attempt(() => Heap.map({ size: 512 * MiB, populate: true }))
        try { Heap.map({ size: 512 * MiB, lock: true }) } catch (error) { told.push(error.code, error.message) }
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
 * A new memory cgroup (of version 1 or 2) with a limit in bytes; undefined when this process may
 * not make one.
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

/** Makes a cgroup refuse memory instead of killing a process; only version 1 can. */
function killsNobody(group: string): boolean {
  try {
    writeFileSync(`${group}/memory.oom_control`, '1')
    return true
  } catch {
    return false
  }
}

/**
 * The beginning of a command line that runs its rest in the group. A group that kills nobody halts
 * a process that touches a new page before it gave back what was refused; a `limit` in bytes grows
 * by 4 MiB each second, so that it goes on.
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
