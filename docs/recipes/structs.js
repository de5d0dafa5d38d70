/**
 * Structs in a heap: an array of structs, and a struct of arrays. Run it to compare both with an
 * array of objects:
 *
 *     node docs/recipes/structs.js               a million particles
 */
import { fileURLToPath } from 'node:url'
import { Heap, struct } from 'offheap'

/** Each array in a block of its own: x[0] x[1] x[2] …, y[0] y[1] y[2] … */
export class ParticleArrays {
  #heap
  count
  x
  y
  vx
  vy

  constructor(heap, count) {
    this.#heap = heap
    this.count = count
    this.x = heap.allocArray(Float64Array, count)
    this.y = heap.allocArray(Float64Array, count)
    this.vx = heap.allocArray(Float64Array, count)
    this.vy = heap.allocArray(Float64Array, count)
  }

  set(i, x, y, vx, vy) {
    this.x[i] = x
    this.y[i] = y
    this.vx[i] = vx
    this.vy[i] = vy
  }

  move(time) {
    const { x, y, vx, vy, count } = this
    for (let i = 0; i < count; i++) {
      x[i] += vx[i] * time
      y[i] += vy[i] * time
    }
  }

  distance(i) {
    return Math.hypot(this.x[i], this.y[i])
  }

  free() {
    for (const array of [this.x, this.y, this.vx, this.vy]) this.#heap.free(array)
  }
}

/** All in one block, one particle after the other: x y vx vy, x y vx vy, … */
const Particle = struct({ x: 'f64', y: 'f64', vx: 'f64', vy: 'f64' })

export class ParticleStructs {
  #heap
  #all
  #particle

  constructor(heap, count) {
    this.#heap = heap
    this.#all = Particle.alloc(heap, count)
    this.#particle = this.#all.at(0)
  }

  set(i, x, y, vx, vy) {
    const particle = this.#all.at(i, this.#particle) // the same object, moved to record i
    particle.x = x
    particle.y = y
    particle.vx = vx
    particle.vy = vy
  }

  move(time) {
    const all = this.#all
    const particle = this.#particle
    for (let i = 0; i < all.length; i++) {
      all.at(i, particle)
      particle.x += particle.vx * time
      particle.y += particle.vy * time
    }
  }

  distance(i) {
    const { x, y } = this.#all.at(i, this.#particle)
    return Math.hypot(x, y)
  }

  free() {
    this.#heap.free(this.#all.bytes)
  }
}

/**
 * Doubles the capacity when it is full, so that adding is cheap. realloc stays in place if it can.
 */
export class GrowingNumbers {
  #heap
  #pointer
  #capacity = 8
  length = 0

  constructor(heap) {
    this.#heap = heap
    this.#pointer = heap.malloc(this.#capacity * 8)
  }

  push(value) {
    if (this.length === this.#capacity) {
      const moved = this.#heap.realloc(this.#pointer, this.#capacity * 16)
      if (moved === 0) throw new RangeError('The heap is full') // and the old block is as it was
      this.#pointer = moved
      this.#capacity *= 2
    }
    this.#heap.f64[this.#pointer / 8 + this.length++] = value
  }

  at(i) {
    if (!(i >= 0 && i < this.length)) throw new RangeError(`There is no element ${i}`)
    return this.#heap.f64[this.#pointer / 8 + i]
  }

  free() {
    this.#heap.free(this.#pointer)
  }
}

/** Particles as an array of objects, for comparison. */
class ParticleObjects {
  #all = []

  set(i, x, y, vx, vy) {
    this.#all[i] = { x, y, vx, vy }
  }

  move(time) {
    for (const particle of this.#all) {
      particle.x += particle.vx * time
      particle.y += particle.vy * time
    }
  }
}

function measure(name, particles, count) {
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  const fill = performance.now()
  for (let i = 0; i < count; i++) particles.set(i, i / 2, -i / 2, 0.25 + i, 0.5)
  const filled = performance.now()
  for (let i = 0; i < 20; i++) particles.move(0.125)
  const moved = performance.now()
  const perMove = ((moved - filled) * 1e6) / (20 * count)
  const heapBytes = (process.memoryUsage().heapUsed - before) / count
  const cells = [
    `${(filled - fill).toFixed(0)} ms`.padStart(8),
    `${perMove.toFixed(1)} ns`.padStart(10),
    `${heapBytes.toFixed(0)} B`.padStart(15)
  ]
  console.log(`${name} ${cells.join(' ')}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const count = Number(process.argv[2] ?? 1e6)
  const heap = Heap.map(count * 80 + 2 ** 20)
  console.log(`${count.toLocaleString('en')} particles, Node ${process.version}`)
  console.log('                     fill   move one    V8 heap each')
  measure('struct of arrays', new ParticleArrays(heap, count), count)
  measure('array of structs', new ParticleStructs(heap, count), count)
  measure('array of objects', new ParticleObjects(), count)
}
