/**
 * Many times what is harmless once: regions mapped and closed, dropped, transferred; workers
 * terminated at any moment. Nothing may stay behind: no mapping, no descriptor, no memory. `node
 * test/check.js endurance` does ten times as much.
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

/** What every child process defines: the figures of its own process. */
const prelude = `
  import { readdirSync, readFileSync } from 'node:fs'
  const status = name => Number(new RegExp(name + ':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
  async function settle(turns = 20) {
    for (let turn = 0; turn < turns; turn++) {
      globalThis.gc()
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  async function figures() {
    await settle()
    return {
      mappings: readFileSync('/proc/self/maps', 'utf8').split('\\n').length,
      descriptors: readdirSync('/proc/self/fd').length,
      addressSpace: status('VmSize'),
      resident: status('VmRSS')
    }
  }
  function report(before, after) {
    console.log(JSON.stringify(Object.fromEntries(Object.keys(before).map(name => [name, after[name] - before[name]]))))
  }
`

describe.runIf(onLinux)('nothing stays behind', () => {
  let compiled: Compiled
  beforeAll(() => {
    compiled = compile('heap')
  })
  afterAll(() => compiled.remove())

  function run(name: string, body: string): Growth {
    // glibc reserves 64 MiB for each thread that allocates; all threads share one of those here.
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
   * V8 itself maps a few pieces more while it runs; a leak of one for every hundredth cycle would
   * be more than that.
   */
  function expectNoGrowth(growth: Growth): void {
    expect(growth.descriptors).toBe(0)
    expect(growth.mappings).toBeLessThan(60)
    expect(growth.addressSpace).toBeLessThan(64 * MiB)
    if (underAsan === undefined) expect(growth.resident).toBeLessThan(24 * MiB)
  }

  const kinds = `
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
      const cycles = count => { for (let cycle = 0; cycle < count; cycle++) use(Region.map(kinds[cycle % 5])).close() }
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
      const drop = count => { for (let cycle = 0; cycle < count; cycle++) Region.map(kinds[cycle % 5]) }
      const dropUsed = () => { for (const kind of kinds) use(Region.map(kind)) }
      // The view outlives the region, the region its buffer's views, and some are closed before
      // they are dropped.
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
      for (let round = 0; round < ${185 * times}; round++) { mix(round); if (round % 10 === 0) await settle(1) }
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
      for (let round = 0; round < ${2000 * times}; round++) { move(round); if (round % 100 === 0) await settle(1) }
      kept = undefined
      report(before, await figures())`
      expectNoGrowth(run('transferred', body))
    }
  )

  test('when a process exits with regions open, dropped, closed and protected, it exits quietly', () => {
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

  /**
   * What a worker does, without end, until it is terminated; or once, and then it exits by itself.
   */
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
      'being refused',
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
       for (;;) { const block = heap.alloc(70000); heap.free(block.fill(1)); heap.trim(); heap.stats() }`
    ],
    [
      'threads of the pool compress a region',
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
      'leaving after a collection',
      'begun(); for (let count = 0; count < 100; count++) Region.map(65536); gc(); process.exit()'
    ],
    [
      'leaving with all open',
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
        Promise.all([import(${JSON.stringify(compiled.region)}), import(${JSON.stringify(compiled.heap)})]).then(([{ Region }, { Heap }]) => {
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
