/** The whole heap with Node flags that disable something on which a library may rely. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Compiled, compile } from '../memory/compiled.js'

let compiled: Compiled
beforeAll(() => {
  compiled = compile('heap')
})
afterAll(() => compiled.remove())

const program = `
  import assert from 'node:assert'
  import { subscribe } from 'node:diagnostics_channel'

  const names = new Set()
  for (const name of ['map', 'close', 'grow', 'trim', 'out-of-memory', 'fault']) {
    subscribe('offheap:' + name, () => names.add(name))
  }
  const refusal = (code, call) => assert.throws(call, { code })
  const onLeaks = leaks => assert.equal(leaks.length, 1)
  const tracked = { hardened: true, trackAllocations: true, onLeaks }
  const trims = { trimThreshold: 65536 }
  for (const options of [{}, { slabs: true }, trims, { hardened: true }, tracked]) {
    const heap = Heap.map({ size: 4 * 2 ** 20, ...options })
    const a = heap.malloc(100)
    const b = heap.calloc(10, 10)
    const c = heap.realloc(a, 2 ** 21)
    const d = heap.alignedAlloc(4096, 10)
    assert.equal(heap.stats().blocks, 3)
    heap.free(heap.alloc(100))
    heap.free(heap.allocArray(Float64Array, 100))
    heap.free(heap.allocBuffer(100))
    assert.equal(heap.malloc(2 ** 24), 0)
    refusal('ERR_OFFHEAP_OUT_OF_MEMORY', () => heap.alloc(2 ** 24))
    refusal('ERR_OFFHEAP_INVALID_POINTER', () => heap.free(c + 8))
    refusal('ERR_INVALID_ARG_TYPE', () => heap.malloc('1'))
    refusal('ERR_OUT_OF_RANGE', () => heap.malloc(-1))
    heap.free(c)
    heap.free(d)
    heap.trim()
    heap.check()
    Heap.attach(heap.buffer).check()
    if (options.trackAllocations) assert.equal(heap.leaks()[0].count, 1)
    heap.close()
    refusal('ERR_OFFHEAP_CLOSED', () => heap.malloc(1))
  }
  assert.equal(names.size, 6)
  console.log('sound')
`

test.each([
  '--frozen-intrinsics',
  '--stack-trace-limit=0',
  '--disable-proto=throw',
  '--disallow-code-generation-from-strings',
  '--enable-source-maps',
  '--pending-deprecation --throw-deprecation',
  '--unhandled-rejections=strict'
])('node %s', flags => {
  const { stdout, stderr } = compiled.run(program, ['env', `NODE_OPTIONS=--no-warnings ${flags}`])
  expect(stderr).toBe('')
  expect(stdout).toBe('sound\n')
})
