/**
 * Leaks of many repetitions: regions are mapped and closed, dropped, transferred; workers are
 * terminated at any moment. No mapping, descriptor or memory may remain. `node test/check.js
 * endurance` repeats ten times as often.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compiled, compile } from './compiled.js'
import { hasTransfer, onLinux, underAsan } from './maps.js'

const times = process.env.OFFHEAP_ENDURANCE === undefined ? 1 : 10
const MiB = 2 ** 20

interface Growth {
  mappings: number
  descriptors: number
  addressSpace: number
  resident: number
}

/** Defined in every child process: functions to measure the process. */
const prelude = `
  import { readdirSync, readFileSync } from 'node:fs'
  const textOf = name => readFileSync('/proc/self/' + name, 'utf8')
  const kilobytes = name => new RegExp(name + ':\\\\s+(\\\\d+)').exec(textOf('status'))[1]
  const status = name => Number(kilobytes(name)) * 1024
  async function settle(turns = 20) {
    for (let turn = 0; turn < turns; turn++) {
      globalThis.gc()
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  async function figures() {
    await settle()
    return {
      mappings: textOf('maps').split('\\n').length,
      descriptors: readdirSync('/proc/self/fd').length,
      addressSpace: status('VmSize'),
      resident: status('VmRSS')
    }
  }
  function report(before, after) {
    const growth = Object.keys(before).map(name => [name, after[name] - before[name]])
    console.log(JSON.stringify(Object.fromEntries(growth)))
  }
`

describe.runIf(onLinux)('the process does not grow', () => {
  let compiled: Compiled
  beforeAll(() => {
    compiled = compile('heap')
  })
  afterAll(() => compiled.remove())

  function run(name: string, body: string): Growth {
    // glibc reserves 64 MiB for each thread that allocates. Here all threads share one such arena.
    const { stdout, stderr, status, signal } = compiled.run(prelude + body, [
      'env',
      'MALLOC_ARENA_MAX=1'
    ])
    expect({ stderr, status, signal }).toEqual({ stderr: '', status: 0, signal: null })
    const growth: Growth = JSON.parse(stdout)
    if (times > 1) console.log(name, stdout.trim())
    return growth
  }

  /**
   * Allows for the few mappings that V8 itself adds over time. A leak in every hundredth cycle
   * would be larger.
   */
  function expectNoGrowth(growth: Growth): void {
    expect(growth.descriptors).toBe(0)
    expect(growth.mappings).toBeLessThan(60)
    expect(growth.addressSpace).toBeLessThan(64 * MiB)
    if (underAsan === undefined) expect(growth.resident).toBeLessThan(24 * MiB)
  }

  const kinds = `
    const repeat = (count, act) => { for (let turn = 0; turn < count; turn++) act(turn) }
    const kinds = [
      65536,
      { size: 65536, guard: false },
      { size: 4 * 2 ** 20, hugePages: true },
      { size: 65536, populate: true },
      { size: 4096, lock: true }
    ]
    function use(region) {
      const bytes = new Uint8Array(region.buffer)
      bytes[0] = bytes[bytes.length - 1] = 1
      region.protect(0, 4096, 'read')
      bytes[1] = 2
      if (region.faults().length !== 1) throw new Error('lost a fault')
      return region
    }`

  test(`after ${10_000 * times} regions were mapped and closed`, () => {
    const body = `${kinds}
      const cycles = count => repeat(count, cycle => use(Region.map(kinds[cycle % 5])).close())
      cycles(1000)
      await settle()
      const before = await figures()
      for (let round = 0; round < 100; round++) { cycles(${100 * times}); await settle(1) }
      report(before, await figures())`
    expectNoGrowth(run('map and close', body))
  })

  test(`after ${10_000 * times} heaps were mapped, used, trimmed and closed`, () => {
    const body = `
      function cycle(round) {
        const placement = ['first-fit', 'best-fit', 'next-fit', 'segregated-fit'][round % 4]
        const heap = Heap.map({ size: 262144, placement })
        const block = heap.alloc(100 * 1024).fill(1)
        heap.calloc(10, 10)
        heap.free(block)
        if (round % 8 === 0) heap.trim()
        heap.close()
      }
      const cycles = count => { for (let round = 0; round < count; round++) cycle(round) }
      cycles(1000)
      await settle()
      const before = await figures()
      for (let round = 0; round < 100; round++) { cycles(${100 * times}); await settle(1) }
      report(before, await figures())`
    expectNoGrowth(run('heaps', body))
  })

  test(`after ${5000 * times} regions were dropped: the collector unmaps them`, () => {
    const body = `${kinds}
      const drop = count => repeat(count, cycle => Region.map(kinds[cycle % 5]))
      const dropUsed = () => { for (const kind of kinds) use(Region.map(kind)) }
      // A view outlives its region, regions outlive their views, and some are closed before they
      // are dropped.
      let view
      const mix = round => {
        drop(20)
        dropUsed()
        view = new Uint8Array(use(Region.map(65536)).buffer)
        const closed = Region.map(65536)
        if (round % 2) globalThis.gc()
        closed.close()
      }
      for (let round = 0; round < 20; round++) { mix(round); await settle(1) }
      await settle()
      const before = await figures()
      for (let round = 0; round < ${185 * times}; round++) {
        mix(round)
        if (round % 10 === 0) await settle(1)
      }
      report(before, await figures())`
    expectNoGrowth(run('dropped', body))
  })

  test.runIf(hasTransfer)(
    `after ${2000 * times} buffers were transferred (Node 22 and later)`,
    () => {
      const body = `${kinds}
      let kept
      const move = round => {
        const region = use(Region.map(kinds[round % 5]))
        let moved = region.buffer.transfer()
        if (round % 3 === 0) moved = moved.transfer()
        if (round % 3 === 1) moved = moved.transfer(100)
        new Uint8Array(moved)[0] = 3
        region.close()
        kept = moved
      }
      for (let round = 0; round < 200; round++) move(round)
      await settle()
      const before = await figures()
      for (let round = 0; round < ${2000 * times}; round++) {
        move(round)
        if (round % 100 === 0) await settle(1)
      }
      kept = undefined
      report(before, await figures())`
      expectNoGrowth(run('transferred', body))
    }
  )

  test('and exits without errors with regions open, dropped, closed and protected', () => {
    const ends = [
      '',
      'process.exit()',
      'globalThis.gc(); process.exit()',
      'setImmediate(() => process.exit())'
    ]
    for (const end of ends) {
      const { stdout, stderr, status, signal } = compiled.run(`${kinds}
        globalThis.kept = kinds.map(kind => use(Region.map(kind)))
        for (const kind of kinds) use(Region.map(kind))
        for (const kind of kinds) use(Region.map(kind)).close()
        const heap = Heap.map(65536)
        heap.malloc(1)
        ${end}`)
      expect({ stdout, stderr, status, signal }).toEqual({
        stdout: '',
        stderr: '',
        status: 0,
        signal: null
      })
    }
  })

  /** The work of a worker: an endless loop until it is terminated, or once before it exits. */
  const works: [string, string][] = [
    [
      'mapping and closing',
      'begun(); for (;;) { const region = Region.map(65536); new ' +
        'Uint8Array(region.buffer)[5] = 1; region.close() }'
    ],
    [
      'mapping and dropping',
      'begun(); for (;;) { for (let count = 0; count < 50; count++) Region.map(65536); gc() }'
    ],
    [
      'making invalid calls',
      'begun(); for (;;) { try { addon.residentBytes({}, {}) } catch {} try { ' +
        'addon.map(-1) } catch {} }'
    ],
    [
      'using pages',
      `const regions = Array.from({ length: 100 }, () => Region.map(65536))
       begun()
       for (;;) for (const region of regions) {
         region.protect(0, 4096, 'none')
         new Uint8Array(region.buffer)[0] = 1
         if (region.faults().length !== 1) process.abort()
         region.residentBytes()
         region.decommit(0, 4096)
       }`
    ],
    [
      'allocating',
      `const heap = Heap.map(1048576)
       begun()
       for (;;) {
         heap.free(heap.alloc(70000).fill(1))
         heap.trim()
         heap.stats()
       }`
    ],
    [
      'the thread pool is compressing a region',
      `const { deflate } = require('node:zlib')
       const view = new Uint8Array(Region.map(1048576).buffer)
       for (let index = 0; index < view.length; index++) view[index] = (index * index) >> 5
       for (let count = 0; count < 3; count++) deflate(view, { level: 9 }, () => {})
       begun()`
    ],
    [
      'transferring',
      'begun(); for (;;) { const { buffer } = Region.map(65536); if (buffer.transfer) ' +
        'buffer.transfer(); }'
    ],
    [
      'exiting after a collection',
      'begun(); for (let count = 0; count < 100; count++) Region.map(65536); gc(); process.exit()'
    ],
    [
      'exiting with regions open',
      'begun(); globalThis.kept = Array.from({ length: 100 }, () => Region.map(65536)); ' +
        'process.exit()'
    ]
  ]

  test.each(works)(`when ${12 * times} workers are terminated while %s`, (name, work) => {
    const body = `
      import { once } from 'node:events'
      import { Worker } from 'node:worker_threads'
      const code = \`
        const { parentPort } = require('node:worker_threads')
        const addon = require(${JSON.stringify(`${compiled.folder}/build/Release/offheap.node`)})
        Promise.all([
          import(${JSON.stringify(compiled.region)}),
          import(${JSON.stringify(compiled.heap)})
        ]).then(([{ Region }, { Heap }]) => {
          const begun = () => parentPort.postMessage('begun')
          ${work}
        })\`
      async function terminateAfter(milliseconds) {
        const worker = new Worker(code, { eval: true })
        const exit = once(worker, 'exit')
        await Promise.race([once(worker, 'message'), exit])
        await new Promise(resolve => setTimeout(resolve, milliseconds))
        await worker.terminate()
        await exit
      }
      for (let count = 0; count < 4; count++) await terminateAfter(5)
      const before = await figures()
      for (let count = 0; count < ${12 * times}; count++) await terminateAfter((count * 7) % 12)
      report(before, await figures())`
    expectNoGrowth(run(name, body))
  })
})
