/**
 * Real threads on a shared heap: workers allocate blocks, free each other's, and are terminated at
 * any moment while others continue. They record their blocks in a SharedArrayBuffer, which is then
 * compared with the heap. `OFFHEAP_TERMINATIONS=500` terminates 500 workers.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compiled, compile } from '../memory/compiled.js'

const terminations = Number(process.env.OFFHEAP_TERMINATIONS ?? 6)

/** The module with the load of the workers, and the comparison. */
const LEDGER = new URL('ledger.mjs', import.meta.url).href

let compiled: Compiled
beforeAll(() => {
  compiled = compile('heap')
})
afterAll(() => compiled.remove())

/**
 * Runs a module in a new process. `Heap` and `start` are in scope: `start(body, data)` runs the
 * body of a module in a worker.
 */
function passes(body: string): string {
  const head =
    "import { parentPort, workerData } from 'node:worker_threads'\n" +
    `import { Heap } from ${JSON.stringify(compiled.heap)}\n`
  const prelude = `
    import assert from 'node:assert/strict'
    import { once } from 'node:events'
    import { Worker } from 'node:worker_threads'
    const head = ${JSON.stringify(head)}
    function start(body, data) {
      const url = new URL('data:text/javascript,' + encodeURIComponent(head + body))
      const worker = new Worker(url, { workerData: data })
      worker.on('error', error => { console.error(error); process.exit(1) })
      return worker
    }
  `
  const { stdout, stderr, status, signal } = compiled.run(prelude + body)
  expect({ stderr, status, signal }).toEqual({ stderr: '', status: 0, signal: null })
  return stdout
}

describe('a worker', () => {
  test('can use and free the blocks of another thread, and its own blocks outlive it', () => {
    passes(`
      const heap = Heap.map({ size: 2 ** 22, shared: true, arenas: 2 })
      const block = heap.calloc(25, 4)
      heap.i32[block / 4] = 17
      const worker = start(\`
        const heap = Heap.attach(workerData.handle)
        const sum = heap.i32[workerData.block / 4] + 1
        heap.free(workerData.block)
        const mine = heap.malloc(100)
        heap.i32[mine / 4] = sum
        heap.root = mine
      \`, { handle: heap.handle(), block })
      await once(worker, 'exit')
      assert.equal(heap.i32[heap.root / 4], 18)
      assert.equal(heap.stats().blocks, 1)
      assert.throws(() => heap.free(block), { code: 'ERR_OFFHEAP_DOUBLE_FREE' })
      heap.free(heap.root)
      heap.check()
      heap.close()
      assert.equal(heap.closed, true)
      assert.throws(() => heap.handle(), { code: 'ERR_OFFHEAP_CLOSED' })`)
  })

  test('keeps a heap open that its creator has closed; the last close unmaps it', () => {
    passes(`
      import { readFileSync } from 'node:fs'
      const size = 64 * 2 ** 20
      const mapped = () => readFileSync('/proc/self/maps', 'utf8').split('\\n').some(line => {
        const [from, to] = line.split(' ')[0].split('-').map(text => parseInt(text, 16))
        return to - from >= size && to - from < size + 2 ** 20
      })
      const isLinux = process.platform === 'linux'
      for (const way of ['close', 'end', 'terminate', 'throw']) {
        let heap = Heap.map({ size, shared: true })
        const handle = heap.handle()
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(head + \`
          const heap = Heap.attach(workerData.handle)
          parentPort.postMessage('attached')
          parentPort.once('message', () => {
            const block = heap.malloc(1000)
            heap.u8.fill(1, block, block + 1000)
            parentPort.postMessage('alive')
            if (workerData.way === 'close') heap.close()
            if (workerData.way === 'throw') throw new Error('on purpose')
            if (workerData.way === 'terminate') for (;;) heap.free(heap.malloc(8))
          })
        \`)), { workerData: { handle, way } })
        worker.on('error', () => {})
        await once(worker, 'message')
        heap.close()
        heap = undefined
        if (isLinux) assert.equal(mapped(), true, way)
        // The error of a worker may arrive before its last message, and its end right after that.
        const alive = new Promise(resolve => worker.once('message', resolve))
        const ended = new Promise(resolve => worker.once('exit', resolve))
        worker.postMessage('go on')
        await alive
        if (way === 'terminate') await worker.terminate()
        else await ended
        // The addresses stay reserved until the buffer of this thread is collected.
        for (let turn = 0; isLinux && mapped() && turn < 100; turn++) {
          globalThis.gc()
          await new Promise(resolve => setImmediate(resolve))
        }
        if (isLinux) assert.equal(mapped(), false, way)
        assert.throws(() => Heap.attach(handle), { code: 'ERR_OFFHEAP_CLOSED' })
      }`)
  })
})

describe('workers that are terminated at any moment', () => {
  const worker = `
    const { work } = await import(workerData.library)
    const heap = Heap.attach(workerData.handle)
    parentPort.postMessage('ready')
    work(heap, workerData, workerData.index, workerData.seed)`

  test.each([
    { arenas: 4, placement: 'first-fit', slabs: false, size: 2 ** 23 },
    { arenas: 2, placement: 'segregated-fit', slabs: true, size: 2 ** 22 }
  ])('lose no block: $arenas arenas, $placement, slabs: $slabs', options => {
    const out = passes(`
      import { setTimeout } from 'node:timers/promises'
      const library = ${JSON.stringify(LEDGER)}
      const { judge } = await import(library)
      const heap = Heap.map(${JSON.stringify({ ...options, shared: true })})
      const ledger = new Int32Array(new SharedArrayBuffer(4 * 600))
      const counts = new Int32Array(new SharedArrayBuffer(4 * 3))
      let seeds = ${JSON.stringify(options.arenas)} * 1000
      const launch = async index => {
        const data = { library, handle: heap.handle(), ledger, counts, index, seed: seeds++ }
        const worker = start(${JSON.stringify(worker)}, data)
        await once(worker, 'message')
        return worker
      }
      const workers = await Promise.all([0, 1, 2].map(launch))
      let operations = 0
      for (let ended = 0; ended < ${terminations}; ended++) {
        await setTimeout(ended % 7)
        const index = ended % 3
        await workers[index].terminate()
        // Meanwhile the other workers continue: none waits for the terminated one.
        const others = [1, 2].map(other => (index + other) % 3)
        const before = others.map(other => Atomics.load(counts, other))
        while (others.some((other, i) => Atomics.load(counts, other) === before[i]))
          await setTimeout(1)
        if (ended % 5 === 0) heap.check()
        operations += Atomics.exchange(counts, index, 0)
        workers[index] = await launch(index)
      }
      for (const worker of workers) await worker.terminate()
      // A terminated worker owned at most two blocks outside the ledger: those of a realloc.
      const rest = judge(heap, { ledger })
      assert.ok(rest <= 2 * (${terminations} + 3), rest + ' blocks without an owner')
      heap.close()
      console.log(operations + ' operations, ' + rest + ' blocks of terminated workers')`)
    if (terminations > 100) console.log(out)
  })
})
