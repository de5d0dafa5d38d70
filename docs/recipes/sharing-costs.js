/**
 * What the recipes for threads and processes cost beside other ways to do the same:
 *
 *     node docs/recipes/sharing-costs.js array         1,000 arrays from a worker
 *     node docs/recipes/sharing-costs.js queue         100,000 messages to a worker
 *     node docs/recipes/sharing-costs.js cache 5000    5,000 hits
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Heap } from 'offheap'
import { SharedMap } from 'offheap/map'
import { BlockQueue, createQueue } from './block-queue.js'
import { createCache, SharedCache } from './shared-cache.js'

const FILE = fileURLToPath(import.meta.url)
const NUMBERS = 100_000
const MESSAGE_BYTES = 100
const SLOTS = 1024
const VALUE_BYTES = 4096
const KEYS = 1000

const ROUNDS = 5

/**
 * Prints how long one operation takes in each of these ways, of which `pass(way, times)` does some:
 * the median of a few rounds, in which the ways take turns, after one to warm up.
 */
async function compare(ways, count, pass) {
  const times = Math.ceil(count / ROUNDS)
  const results = new Map(ways.map(way => [way, []]))
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [way, measured] of results) {
      const start = performance.now()
      await pass(way, times)
      if (round > 0) measured.push(((performance.now() - start) * 1000) / times)
    }
  }
  for (const [way, measured] of results) {
    const median = measured.sort((a, b) => a - b)[ROUNDS >> 1].toFixed(2)
    console.log(way.padEnd(24) + `${median} µs`.padStart(12))
  }
}

// ---- a typed array that one thread fills and another reads --------------------------------------

/** In the worker: how an array is made, and what is sent. */
const fillers = {
  'message, cloned': () => [new Float64Array(NUMBERS).fill(1), []],
  'message, transferred': () => {
    const numbers = new Float64Array(NUMBERS).fill(1)
    return [numbers, [numbers.buffer]]
  },
  'file in memory': ({ path }) => {
    writeFileSync(path, new Float64Array(NUMBERS).fill(1))
    return [null, []]
  },
  SharedArrayBuffer: ({ shared }) => [void new Float64Array(shared).fill(1), []],
  'shared heap': ({ heap }) => [heap.allocArray(Float64Array, NUMBERS).fill(1).byteOffset, []]
}

/** In the main thread: the array, from what was sent. */
const readers = {
  'file in memory': (_, { path }) => {
    const { buffer, byteOffset } = readFileSync(path)
    return new Float64Array(buffer, byteOffset, NUMBERS)
  },
  SharedArrayBuffer: (_, { shared }) => new Float64Array(shared),
  'shared heap': (pointer, { heap }) => new Float64Array(heap.buffer, pointer, NUMBERS)
}

async function compareArrays(count) {
  const heap = Heap.map({ size: 64 * 2 ** 20, shared: true })
  const shared = new SharedArrayBuffer(NUMBERS * 8)
  const folder = mkdtempSync('/dev/shm/offheap-')
  const path = join(folder, 'array')
  const worker = new Worker(FILE, {
    workerData: { task: 'array', heap: heap.handle(), shared, path }
  })
  await compare(Object.keys(fillers), count, async (way, times) => {
    for (let i = 0; i < times; i++) {
      worker.postMessage(way)
      const [sent] = await once(worker, 'message')
      const numbers = readers[way]?.(sent, { heap, shared, path }) ?? sent
      let sum = 0
      for (const number of numbers) sum += number
      if (sum !== NUMBERS) throw new Error(`${way}: the sum is ${sum}`)
      if (way === 'shared heap') heap.free(sent)
    }
  })
  await worker.terminate()
  rmSync(folder, { recursive: true })
  heap.close()
}

function fillArrays({ heap, ...places }) {
  const attached = Heap.attach(heap)
  parentPort.on('message', way => {
    parentPort.postMessage(...fillers[way]({ heap: attached, ...places }))
  })
}

// ---- a queue of messages ------------------------------------------------------------------------

/** By hand: slots of a fixed size in a SharedArrayBuffer, into which messages are copied. */
class Ring {
  constructor(shared) {
    this.words = new Int32Array(shared, 0, 3) // received, sent, bell
    this.slots = new Uint8Array(shared, 12)
  }

  static make() {
    return new SharedArrayBuffer(12 + SLOTS * MESSAGE_BYTES)
  }

  send(message) {
    const sent = this.words[1]
    if (sent - Atomics.load(this.words, 0) === SLOTS) return false
    this.slots.set(message, (sent % SLOTS) * MESSAGE_BYTES)
    Atomics.store(this.words, 1, sent + 1)
    Atomics.add(this.words, 2, 1)
    Atomics.notify(this.words, 2)
    return true
  }

  wait() {
    const received = this.words[0]
    for (;;) {
      const rung = Atomics.load(this.words, 2)
      if (received !== Atomics.load(this.words, 1)) break
      Atomics.wait(this.words, 2, rung)
    }
    const at = (received % SLOTS) * MESSAGE_BYTES
    const message = this.slots.slice(at, at + MESSAGE_BYTES)
    Atomics.store(this.words, 0, received + 1)
    return message
  }
}

async function compareQueues(count) {
  const heap = Heap.map({ size: 2 ** 22, shared: true })
  const queue = createQueue(heap, SLOTS)
  const ring = Ring.make()
  const senders = {
    'postMessage, cloned': worker => () => {
      worker.postMessage(new Uint8Array(MESSAGE_BYTES))
      return true
    },
    'SharedArrayBuffer, slots': () => {
      const sender = new Ring(ring)
      return () => sender.send(new Uint8Array(MESSAGE_BYTES))
    },
    'queue in a shared heap': () => {
      const sender = new BlockQueue(heap, queue)
      return () => {
        const message = heap.allocZeroed(MESSAGE_BYTES).byteOffset
        const isSent = sender.send(message)
        if (!isSent) heap.free(message)
        return isSent
      }
    }
  }
  const workers = new Map()
  for (const way of Object.keys(senders)) {
    const data = { task: 'queue', way, heap: heap.handle(), queue, ring }
    workers.set(way, new Worker(FILE, { workerData: data }))
    await once(workers.get(way), 'message')
  }
  await compare(Object.keys(senders), count, async (way, times) => {
    const worker = workers.get(way)
    const answer = once(worker, 'message')
    worker.postMessage(times)
    const send = senders[way](worker)
    for (let i = 0; i < times; i++) while (!send()) await setImmediate()
    await answer
  })
  for (const worker of workers.values()) await worker.terminate()
  heap.close()
}

function receiveMessages({ way, heap: handle, queue, ring }) {
  const heap = Heap.attach(handle)
  let left = 0
  const receive = message => {
    if (message.length !== MESSAGE_BYTES || message[0] !== 0) throw new Error('a wrong message')
    if (--left === 0) parentPort.postMessage('done')
  }
  const receivers = {
    'SharedArrayBuffer, slots': () => {
      const receiver = new Ring(ring)
      while (left > 0) receive(receiver.wait())
    },
    'queue in a shared heap': () => {
      const receiver = new BlockQueue(heap, queue)
      while (left > 0) {
        const message = heap.view(receiver.wait(), MESSAGE_BYTES)
        receive(message)
        heap.free(message)
      }
    }
  }
  parentPort.on('message', message => {
    if (typeof message !== 'number') return receive(message)
    left = message
    receivers[way]?.()
  })
  parentPort.postMessage('ready')
}

// ---- a cache for the workers of a cluster -------------------------------------------------------

async function compareCaches(count) {
  const name = `costs-${process.pid}`
  const heap = Heap.open(`shm:${name}`, { size: 2 ** 25, create: true, shared: true })
  createCache(heap, 2 ** 17)
  const cache = new SharedCache(heap)
  const map = SharedMap.create(heap)
  const own = new Map()
  const folder = mkdtempSync(join(tmpdir(), 'offheap-'))
  const keys = Array.from({ length: KEYS }, (_, i) => `page-${i}`)
  for (const key of keys) {
    const value = Buffer.alloc(VALUE_BYTES, key)
    for (const each of [cache, map, own]) each.set(key, value)
    writeFileSync(join(folder, key), value)
  }
  const first = fork(FILE, { serialization: 'advanced' })
  await once(first, 'message')
  const ways = {
    'a message to one process': async key => {
      first.send(key)
      return (await once(first, 'message'))[0]
    },
    'a file for each entry': key => readFileSync(join(folder, key)),
    SharedCache: key => cache.get(key),
    SharedMap: key => map.get(key),
    'a Map in each worker': key => own.get(key)
  }
  await compare(Object.keys(ways), count, async (way, times) => {
    for (let i = 0; i < times; i++) {
      const found = ways[way](keys[i % KEYS])
      const value = found instanceof Promise ? await found : found
      // In a SharedCache, two keys may have the same bucket.
      if (value?.length !== VALUE_BYTES && way !== 'SharedCache')
        throw new Error(`${way}: ${value?.length} bytes`)
    }
  })
  first.disconnect()
  rmSync(folder, { recursive: true })
  heap.close()
  rmSync(`/dev/shm/offheap-${name}`)
}

function answerMessages() {
  const map = new Map()
  for (let i = 0; i < KEYS; i++) map.set(`page-${i}`, Buffer.alloc(VALUE_BYTES, `page-${i}`))
  process.on('message', key => process.send(map.get(key)))
  process.send('ready')
}

// ---- which of them ------------------------------------------------------------------------------

const comparisons = {
  array: [compareArrays, 1000],
  queue: [compareQueues, 100_000],
  cache: [compareCaches, 100_000]
}

if (!isMainThread) {
  if (workerData.task === 'array') fillArrays(workerData)
  else receiveMessages(workerData)
} else if (process.send !== undefined && process.argv[2] === undefined) answerMessages()
else {
  const [run, count] = comparisons[process.argv[2]] ?? []
  if (run === undefined) throw new RangeError('Compare what? array, queue or cache')
  console.log(`Node ${process.version}, time per operation`)
  await run(Number(process.argv[3] ?? count))
}
