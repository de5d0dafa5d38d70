/**
 * A queue of blocks from one thread to another, for docs/recipes/threads.md. The ring of pointers
 * is in the shared heap; a word of a SharedArrayBuffer wakes the receiver.
 *
 *     ring   ├──────────┼──────┼─────────┼─────────┼───┼────────────────────┤
 *            │ received │ sent │ pointer │ pointer │ … │ pointer, all / 8   │
 *            ├──────────┼──────┼─────────┼─────────┼───┼────────────────────┤
 */

/**
 * Creates a queue in a shared heap. Returns plain data for `new BlockQueue` in both threads.
 * `capacity` is a power of two.
 */
export function createQueue(heap, capacity) {
  const ring = heap.calloc(2 + capacity, 4)
  if (ring === 0) throw new RangeError('The heap has no room for a queue')
  return { ring, capacity, bell: new SharedArrayBuffer(4) }
}

/** One end of a queue: one thread sends, and one receives. */
export class BlockQueue {
  #words
  #ring
  #mask
  #bell

  constructor(heap, { ring, capacity, bell }) {
    this.#words = heap.i32
    this.#ring = ring / 4
    this.#mask = capacity - 1
    this.#bell = new Int32Array(bell)
  }

  /** Sends a block, which then belongs to the receiver. Returns false if the queue is full. */
  send(pointer) {
    const sent = this.#words[this.#ring + 1]
    if (((sent - Atomics.load(this.#words, this.#ring)) | 0) > this.#mask) return false
    this.#words[this.#ring + 2 + (sent & this.#mask)] = pointer / 8
    // Whoever reads this value sees everything that was written before, in the block too.
    Atomics.store(this.#words, this.#ring + 1, sent + 1)
    Atomics.add(this.#bell, 0, 1)
    Atomics.notify(this.#bell, 0)
    return true
  }

  /** The pointer of the next block; 0 if there is none. */
  receive() {
    const received = this.#words[this.#ring]
    if (received === Atomics.load(this.#words, this.#ring + 1)) return 0
    const pointer = this.#words[this.#ring + 2 + (received & this.#mask)] * 8
    Atomics.store(this.#words, this.#ring, received + 1)
    return pointer
  }

  /** The pointer of the next block; the thread sleeps until there is one. */
  wait() {
    for (;;) {
      const rung = Atomics.load(this.#bell, 0)
      const pointer = this.receive()
      if (pointer !== 0) return pointer
      Atomics.wait(this.#bell, 0, rung)
    }
  }
}
