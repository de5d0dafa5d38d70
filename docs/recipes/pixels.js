/**
 * A pixel pipeline with workers. The images are blocks of a heap on a SharedArrayBuffer: workers
 * get their byte offsets, and no pixel is copied between threads. Only the main thread allocates.
 *
 *     node docs/recipes/pixels.js                4 megapixels, with 1 worker, 2, …
 */
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Heap } from 'offheap'

/** Each step computes row `y` of one grey image, a byte for each pixel, from another image. */
export const steps = {
  invert(from, to, width, _, y) {
    for (let at = y * width; at < (y + 1) * width; at++) to[at] = 255 - from[at]
  },

  /** The mean of a pixel and its neighbours; pixels outside the image count as its border. */
  blur(from, to, width, height, y) {
    const rows = [Math.max(y - 1, 0), y, Math.min(y + 1, height - 1)].map(row => row * width)
    for (let x = 0; x < width; x++) {
      const columns = [Math.max(x - 1, 0), x, Math.min(x + 1, width - 1)]
      let sum = 0
      for (const row of rows) for (const column of columns) sum += from[row + column]
      to[y * width + x] = Math.round(sum / 9)
    }
  },

  /** The difference of a pixel from those to its right and below. */
  edges(from, to, width, height, y) {
    const below = Math.min(y + 1, height - 1) * width
    for (let x = 0; x < width; x++) {
      const pixel = from[y * width + x]
      const right = from[y * width + Math.min(x + 1, width - 1)]
      to[y * width + x] = Math.min(Math.abs(pixel - right) + Math.abs(pixel - from[below + x]), 255)
    }
  }
}

if (!isMainThread && workerData?.pixels !== undefined) {
  parentPort.on('message', ({ step, from, to, width, height, first, last }) => {
    const source = new Uint8Array(workerData.pixels, from, width * height)
    const target = new Uint8Array(workerData.pixels, to, width * height)
    for (let y = first; y < last; y++) steps[step](source, target, width, height, y)
    parentPort.postMessage('done')
  })
}

export class Pipeline {
  #heap
  #workers
  #last = Promise.resolve()

  constructor(workers = availableParallelism(), bytes = 64 * 2 ** 20) {
    this.#heap = Heap.format(new SharedArrayBuffer(bytes))
    const options = { workerData: { pixels: this.#heap.buffer } }
    const start = () => new Worker(new URL(import.meta.url), options)
    this.#workers = Array.from({ length: workers }, start)
  }

  /** Applies these steps to an image and returns the result. Works on one image at a time. */
  run(pixels, width, ...names) {
    const result = this.#last.then(() => this.#make(pixels, width, names))
    this.#last = result.catch(() => {})
    return result
  }

  async #make(pixels, width, names) {
    const scope = this.#heap.scope()
    try {
      let [from, to] = [scope.alloc(pixels.length), scope.alloc(pixels.length)]
      from.set(pixels)
      for (const name of names) {
        await this.#step(name, from.byteOffset, to.byteOffset, width, pixels.length / width)
        ;[from, to] = [to, from]
      }
      return from.slice() // in ordinary memory
    } finally {
      scope.close()
    }
  }

  /** Every worker computes a band of rows. Returns when the last of them is done or has failed. */
  async #step(step, from, to, width, height) {
    const rows = Math.ceil(height / this.#workers.length)
    const bands = this.#workers.map(async (worker, i) => {
      const [first, last] = [i * rows, Math.min((i + 1) * rows, height)]
      worker.postMessage({ step, from, to, width, height, first, last })
      await once(worker, 'message')
    })
    for (const { reason } of await Promise.allSettled(bands)) if (reason !== undefined) throw reason
  }

  async close() {
    await Promise.all(this.#workers.map(worker => worker.terminate()))
    this.#heap.close()
  }
}

if (isMainThread && process.argv[1] === fileURLToPath(import.meta.url)) {
  const pixels = Uint8Array.from({ length: 2048 * 2048 }, (_, i) => (i * i) >> 11)
  for (let workers = 1; workers <= availableParallelism(); workers *= 2) {
    const pipeline = new Pipeline(workers)
    await pipeline.run(pixels, 2048, 'invert') // the workers are there
    const start = performance.now()
    await pipeline.run(pixels, 2048, 'blur', 'edges', 'invert')
    console.log(`${workers} workers: ${Math.round(performance.now() - start)} ms`)
    await pipeline.close()
  }
}
