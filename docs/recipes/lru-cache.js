/**
 * An LRU cache outside the V8 heap, and one on a Map. Run it to compare the pauses that each
 * causes:
 *
 *     node docs/recipes/lru-cache.js               a million entries
 *     node docs/recipes/lru-cache.js 20000         fewer
 */
import { execFileSync } from 'node:child_process'
import { PerformanceObserver } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { Heap } from 'offheap'

// An entry is one block of the heap. Its first words, then key and value:
const HASH = 0 // the key's hash
const CHAIN = 1 // pointer of the next entry in the same bucket
const OLDER = 2 // pointers of the neighbours in the order of use
const NEWER = 3
const KEY_BYTES = 4
const VALUE_BYTES = 5
const HEADER_BYTES = 24

export class HeapCache {
  #heap
  #u32
  #mask
  #buckets
  #bytes // all of the heap, as a Buffer
  #scratch // the key to find, as UTF-8
  #scratchBytes = 0
  #newest = 0
  #oldest = 0
  size = 0

  /** A cache in `bytes` bytes of memory, for keys of up to 1024 bytes. */
  constructor(bytes) {
    // No slabs: this heap is always full, and has room for more entries without them.
    this.#heap = Heap.map({ size: bytes, placement: 'segregated-fit', slabs: false })
    this.#u32 = this.#heap.u32
    this.#bytes = Buffer.from(this.#heap.buffer)
    // About one bucket for each entry of 256 bytes.
    const buckets = 2 ** Math.max(4, Math.round(Math.log2(bytes / 256)))
    this.#mask = buckets - 1
    this.#buckets = this.#heap.calloc(buckets, 4) / 4
    this.#scratch = this.#heap.malloc(1024)
  }

  /** The value's bytes, valid until the next `set`; undefined if there is no such key. */
  get(key) {
    const entry = this.#find(this.#hash(key))
    if (entry === 0) return undefined
    this.#unlink(entry)
    this.#linkNewest(entry)
    const begin = entry + HEADER_BYTES + this.#u32[entry / 4 + KEY_BYTES]
    return this.#bytes.subarray(begin, begin + this.#u32[entry / 4 + VALUE_BYTES])
  }

  /** Stores a copy of the value. If necessary, removes the least recently used entries. */
  set(key, value) {
    const hash = this.#hash(key)
    const old = this.#find(hash)
    if (old !== 0) this.#remove(old)
    const keyBytes = this.#scratchBytes
    let entry = this.#heap.malloc(HEADER_BYTES + keyBytes + value.length)
    while (entry === 0) {
      if (this.#oldest === 0) throw new RangeError('The value is larger than the cache')
      this.#remove(this.#oldest)
      entry = this.#heap.malloc(HEADER_BYTES + keyBytes + value.length)
    }
    const u32 = this.#u32
    const word = entry / 4
    const bucket = this.#buckets + (hash & this.#mask)
    u32[word + HASH] = hash
    u32[word + CHAIN] = u32[bucket]
    u32[bucket] = entry
    u32[word + KEY_BYTES] = keyBytes
    u32[word + VALUE_BYTES] = value.length
    this.#bytes.copyWithin(entry + HEADER_BYTES, this.#scratch, this.#scratch + keyBytes)
    this.#bytes.set(value, entry + HEADER_BYTES + keyBytes)
    this.#linkNewest(entry)
    this.size++
  }

  close() {
    this.#heap.close()
  }

  /** Writes the key where #find expects it, and returns its hash (FNV-1a). */
  #hash(key) {
    this.#scratchBytes = this.#bytes.write(key, this.#scratch, 1024)
    let hash = 0x811c9dc5
    const end = this.#scratch + this.#scratchBytes
    for (let i = this.#scratch; i < end; i++) hash = Math.imul(hash ^ this.#bytes[i], 0x01000193)
    return hash >>> 0
  }

  #find(hash) {
    const u32 = this.#u32
    let entry = u32[this.#buckets + (hash & this.#mask)]
    while (entry !== 0 && !(u32[entry / 4 + HASH] === hash && this.#hasKey(entry)))
      entry = u32[entry / 4 + CHAIN]
    return entry
  }

  #hasKey(entry) {
    if (this.#u32[entry / 4 + KEY_BYTES] !== this.#scratchBytes) return false
    const key = entry + HEADER_BYTES
    for (let i = 0; i < this.#scratchBytes; i++) {
      if (this.#bytes[key + i] !== this.#bytes[this.#scratch + i]) return false
    }
    return true
  }

  #remove(entry) {
    const u32 = this.#u32
    // The place of the reference to this entry in the chain of its bucket.
    let link = this.#buckets + (u32[entry / 4 + HASH] & this.#mask)
    while (u32[link] !== entry) link = u32[link] / 4 + CHAIN
    u32[link] = u32[entry / 4 + CHAIN]
    this.#unlink(entry)
    this.#heap.free(entry)
    this.size--
  }

  #unlink(entry) {
    const u32 = this.#u32
    const older = u32[entry / 4 + OLDER]
    const newer = u32[entry / 4 + NEWER]
    if (older === 0) this.#oldest = newer
    else u32[older / 4 + NEWER] = newer
    if (newer === 0) this.#newest = older
    else u32[newer / 4 + OLDER] = older
  }

  #linkNewest(entry) {
    const u32 = this.#u32
    u32[entry / 4 + OLDER] = this.#newest
    u32[entry / 4 + NEWER] = 0
    if (this.#newest === 0) this.#oldest = entry
    else u32[this.#newest / 4 + NEWER] = entry
    this.#newest = entry
  }
}

/** The usual way: a Map of objects that are linked in the order of use. */
export class MapCache {
  #map = new Map()
  #limit
  // Both ends of the list; `newer` of it is the oldest entry.
  #ends = { key: '', value: undefined, older: undefined, newer: undefined }

  constructor(limit) {
    this.#limit = limit
    this.#ends.older = this.#ends
    this.#ends.newer = this.#ends
  }

  get size() {
    return this.#map.size
  }

  get(key) {
    const entry = this.#map.get(key)
    if (entry === undefined) return undefined
    this.#unlink(entry)
    this.#linkNewest(entry)
    return entry.value
  }

  set(key, value) {
    const old = this.#map.get(key)
    if (old !== undefined) this.#remove(old)
    else if (this.#map.size === this.#limit) this.#remove(this.#ends.newer)
    const entry = { key, value: Buffer.from(value), older: undefined, newer: undefined }
    this.#map.set(key, entry)
    this.#linkNewest(entry)
  }

  close() {
    this.#map.clear()
  }

  #remove(entry) {
    this.#map.delete(entry.key)
    this.#unlink(entry)
  }

  #unlink({ older, newer }) {
    older.newer = newer
    newer.older = older
  }

  #linkNewest(entry) {
    entry.older = this.#ends.older
    entry.newer = this.#ends
    entry.older.newer = entry
    this.#ends.older = entry
  }
}

/**
 * Fills the cache, then makes twice as many gets as there are entries, three in four of them hits;
 * each miss is followed by a set.
 */
function work(cache, entries) {
  const value = Buffer.alloc(200)
  let seed = 1
  const random = below => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const put = number => {
    value.writeUInt32LE(number)
    cache.set(`user:${number}`, value.subarray(0, 100 + (number % 100)))
  }
  for (let i = 0; i < entries; i++) put(i)
  let hits = 0
  for (let i = 0; i < 2 * entries; i++) {
    const number = random(entries * 1.3)
    const found = cache.get(`user:${number}`)
    if (found === undefined) put(number)
    else if (found.readUInt32LE() === number && found.length === 100 + (number % 100)) hits++
    else throw new Error(`user:${number} has the value of another`)
  }
  return hits
}

/** Runs the work on one cache in this process, and prints its cost as JSON. */
async function measure(kind, entries) {
  let pauses = 0
  let worst = 0
  let total = 0
  const observer = new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) {
      pauses++
      total += duration
      worst = Math.max(worst, duration)
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  // Room for that many entries: 24 bytes for the cache, the key, 150 bytes of value, 4 bytes for
  // the block's header, and the buckets.
  const cache = kind === 'heap' ? new HeapCache(entries * 201 + 2 ** 16) : new MapCache(entries)
  const begin = performance.now()
  const hits = work(cache, entries)
  const ms = performance.now() - begin
  const rss = process.memoryUsage().rss
  const { size } = cache
  // The observer is notified of a collection on a later turn of the event loop.
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
  observer.disconnect()
  cache.close()
  console.log(JSON.stringify({ kind, size, hits, ms, pauses, total, worst, rss }))
}

function compare(entries) {
  const file = fileURLToPath(import.meta.url)
  const results = ['heap', 'map'].map(kind =>
    JSON.parse(execFileSync(process.execPath, [file, String(entries), kind], { encoding: 'utf8' }))
  )
  console.log(`${entries.toLocaleString('en')} entries, Node ${process.version}`)
  console.log('cache  entries at the end  seconds  GC pauses  worst pause  in GC    resident')
  for (const { kind, size, ms, pauses, worst, total, rss } of results) {
    const cells = [
      kind.padEnd(5),
      size.toLocaleString('en').padStart(19),
      (ms / 1000).toFixed(2).padStart(8),
      String(pauses).padStart(10),
      `${worst.toFixed(1)} ms`.padStart(12),
      `${total.toFixed(0)} ms`.padStart(8),
      `${(rss / 2 ** 20).toFixed(0)} MiB`.padStart(9)
    ]
    console.log(cells.join(' '))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const entries = Number(process.argv[2] ?? 1e6)
  const kind = process.argv[3]
  if (kind === undefined) compare(entries)
  else await measure(kind, entries)
}
