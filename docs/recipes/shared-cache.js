/**
 * A cache in a shared heap, for docs/recipes/shared-cache.md: any number of threads and processes
 * use it at the same time. Every key has one bucket, which holds one entry. A new entry replaces
 * the old one, whatever its key.
 *
 *     table   ├──────────┼────────┼────────┼───┤      bucket   0: empty
 *             │ counter  │ bucket │ bucket │ … │               > 0: the pointer of an entry, / 8
 *             ├──────────┼────────┼────────┼───┤               < 0: taken, by user -n
 *
 *     entry   ├───────────┼─────────────┼────────────┼────────┤
 *             │ key bytes │ value bytes │ key, UTF-8 │ value  │
 *             ├───────────┼─────────────┼────────────┼────────┤
 *
 * A block belongs to whoever took it out of its bucket with an atomic operation. Nobody waits for a
 * lock: while an entry is taken, others wait briefly and then find nothing, which a cache permits.
 */

/** The number of times that a bucket is read again while its entry is taken. */
const TRIES = 1000
const HEADER = 8

/**
 * Creates an empty cache with `buckets` buckets, a power of two. Its table is the root of the heap.
 */
export function createCache(heap, buckets) {
  const table = heap.calloc(1 + buckets, 4)
  if (table === 0) throw new RangeError('The heap has no room for the table')
  heap.root = table
}

/** One user of the cache: a thread or a process. */
export class SharedCache {
  #heap
  #words
  #first
  #count
  #me

  constructor(heap) {
    const table = heap.root / 4
    this.#heap = heap
    this.#words = heap.i32
    this.#first = table + 1
    // The block may be larger than requested: round down to a power of two.
    this.#count = 2 ** Math.floor(Math.log2(heap.usableSize(heap.root) / 4 - 1))
    this.#me = -1 - (Atomics.add(this.#words, table, 1) & 0x3fffffff)
  }

  /** A copy of the value, as a Buffer; undefined if there is none. */
  get(key) {
    const name = Buffer.from(key)
    const bucket = this.#bucketOf(name)
    const block = this.#take(bucket)
    if (block === 0) return undefined
    const value = this.#valueOf(block, name)
    // If another user has set the bucket meanwhile, this entry is out of date.
    const mine = Atomics.compareExchange(this.#words, bucket, this.#me, block / 8) === this.#me
    if (!mine) this.#heap.free(block)
    return value
  }

  /** Sets a value, a Buffer or another Uint8Array. Returns false if there is no room for it. */
  set(key, value) {
    const name = Buffer.from(key)
    const block = this.#allocate(HEADER + name.length + value.length)
    if (block === 0) return false
    const bytes = this.#heap.u8
    this.#words[block / 4] = name.length
    this.#words[block / 4 + 1] = value.length
    bytes.set(name, block + HEADER)
    bytes.set(value, block + HEADER + name.length)
    this.#replace(this.#bucketOf(name), block)
    return true
  }

  delete(key) {
    this.#replace(this.#bucketOf(Buffer.from(key)), 0)
  }

  /** Puts a block, or 0, into a bucket, and frees the previous one. */
  #replace(bucket, block) {
    const old = Atomics.exchange(this.#words, bucket, block / 8)
    if (old > 0) this.#heap.free(old * 8)
  }

  /** Takes the entry out of a bucket. Returns its pointer; 0 if there is none. */
  #take(bucket) {
    for (let tries = 0; tries < TRIES; tries++) {
      const entry = Atomics.load(this.#words, bucket)
      if (entry === 0) return 0
      if (entry < 0) continue
      const found = Atomics.compareExchange(this.#words, bucket, entry, this.#me)
      if (found === entry) return entry * 8
    }
    return 0
  }

  /** The value of an entry, if it has that key. */
  #valueOf(block, name) {
    const [keyBytes, valueBytes] = this.#words.subarray(block / 4, block / 4 + 2)
    const key = Buffer.from(this.#heap.buffer, block + HEADER, keyBytes)
    if (!key.equals(name)) return undefined
    const begin = block + HEADER + keyBytes
    return Buffer.from(this.#heap.u8.subarray(begin, begin + valueBytes))
  }

  /** Allocates a block. Removes other entries, at random, until there is room. */
  #allocate(bytes) {
    for (let tries = 0; tries < this.#count; tries++) {
      const block = this.#heap.malloc(bytes)
      if (block !== 0) return block
      let at = Math.floor(Math.random() * this.#count)
      for (let looks = 0; looks < this.#count; looks++) {
        if (Atomics.load(this.#words, this.#first + at) > 0) break
        at = (at + 1) % this.#count
      }
      this.#replace(this.#first + at, 0)
    }
    return 0
  }

  #bucketOf(name) {
    let hash = 0x811c9dc5
    for (const byte of name) hash = Math.imul(hash ^ byte, 0x01000193)
    return this.#first + ((hash ^ (hash >>> 15)) & (this.#count - 1))
  }
}
