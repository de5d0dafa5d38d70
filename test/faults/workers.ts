/**
 * Misuse across threads: of memory that a worker receives, and after the heap was closed. One
 * worker makes all injections of a kind.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Heap, type HeapOptions } from '../../lib/index.js'
import type { Outcome } from './kind.js'
import { Random } from './random.js'
import { codeOf, type Tally, tallyOf } from './run.js'
import { HEAP_BYTES } from './scene.js'

/** The worker: frees what it is sent on a heap of its own, or uses a heap that it has closed. */
const script = `
import { parentPort, workerData } from 'node:worker_threads'
const { Heap } = await import(workerData.heap)
const codeOf = action => {
  try {
    action()
    return ''
  } catch (error) {
    return error.code ?? String(error)
  }
}
const own = Heap.format(new ArrayBuffer(${HEAP_BYTES}), workerData.options)
for (let i = 0; i < 50; i++) own.malloc(i)
parentPort.on('message', message => {
  if (message === 'close') {
    const heap = Heap.map({ size: ${HEAP_BYTES}, ...workerData.options })
    const pointer = heap.malloc(40)
    const view = heap.alloc(40)
    heap.close()
    const frees = [() => heap.free(pointer), () => heap.free(view)]
  const calls = [...frees, () => heap.malloc(8), () => heap.check()]
    parentPort.postMessage(codeOf(calls[Math.floor(Math.random() * calls.length)]))
  } else {
    parentPort.postMessage(codeOf(() => own.free(message)))
  }
})
`

/** All kinds with a worker. `compiled` is the URL of the compiled heap, which a worker can load. */
export async function runWorkers(
  compiled: string,
  options: HeapOptions,
  times: number,
  seed: number
): Promise<Tally[]> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), {
    workerData: { heap: compiled, options }
  })
  const ask = async (message: unknown, transfer: ArrayBuffer[] = []): Promise<unknown> => {
    worker.postMessage(message, transfer)
    const [answer] = await once(worker, 'message')
    return answer
  }
  const random = new Random(seed)
  const newHeap = (): Heap => {
    const heap = Heap.format(new ArrayBuffer(HEAP_BYTES), options)
    for (let i = 0; i < 10; i++) heap.malloc(random.below(200))
    return heap
  }

  const posted = await outcomes(times, async () =>
    String(await ask(newHeap().alloc(random.below(100))))
  )
  const closed = await outcomes(times, async () => String(await ask('close')))
  const transferred = await outcomes(times, async () => {
    const heap = newHeap()
    const pointer = heap.malloc(40)
    await ask(heap.u8, [heap.buffer])
    try {
      random.of([() => heap.free(pointer), () => heap.malloc(8), () => heap.check()])()
      return ''
    } catch (error) {
      return codeOf(error)
    }
  })
  await worker.terminate()
  return [
    tallyOf({ name: "a view that was posted to a worker, freed in the worker's heap" }, posted),
    tallyOf({ name: 'use of a heap in a worker after close() there' }, closed),
    tallyOf({ name: 'use of a heap whose buffer was transferred to a worker' }, transferred)
  ]
}

async function outcomes(times: number, inject: () => Promise<string>): Promise<Outcome[]> {
  const all: Outcome[] = []
  for (let i = 0; i < times; i++) {
    const code = await inject()
    all.push(
      code === ''
        ? { moment: 'missed', code }
        : { moment: 'at once', code: codeOf(Object.assign(new Error(code), { code })) }
    )
  }
  return all
}
