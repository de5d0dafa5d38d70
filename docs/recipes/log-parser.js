/**
 * A log parser that reads files straight into a heap. Lines of an access log are parsed in place,
 * and the totals of each path are records in the heap: no object and no string for a line.
 *
 *     node docs/recipes/log-parser.js access.log …
 */
import { open } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Heap, struct } from 'offheap'

const [LF, SPACE, QUOTE, MINUS, ZERO] = Buffer.from('\n "-0')

/** The totals of one path. `name` is a block with its bytes; 0 in an empty place. */
const counts = { requests: 'u32', errors: 'u32', bytes: 'f64' }
const Total = struct({ name: 'pointer', length: 'u32', hash: 'u32', ...counts })

export class LogTotals {
  #heap
  /** A hash table with open addressing, at most three quarters full. */
  #table
  paths = 0
  lines = 0
  /** The number of lines that are not in the common log format. */
  skipped = 0

  constructor(heap, mostPaths = 100_000) {
    this.#heap = heap
    this.#table = Total.alloc(heap, Math.ceil((mostPaths * 4) / 3))
  }

  /** Adds a file, which is read into one block, piece by piece. A line must fit in the block. */
  async add(path, blockBytes = 256 * 1024) {
    const block = this.#heap.allocBuffer(blockBytes)
    const pin = this.#heap.pin(block) // fs.read writes to it from another thread
    let file
    try {
      file = await open(path)
      let begun = 0 // bytes of an incomplete line
      for (;;) {
        const { bytesRead } = await file.read(block, begun, block.length - begun)
        if (bytesRead === 0) break
        begun = this.#lines(block, begun + bytesRead)
        if (begun === block.length) throw new RangeError(`${path}: a line of over ${begun} bytes`)
      }
      if (begun > 0) this.#line(block, 0, begun)
    } finally {
      await file?.close()
      pin.unpin()
      this.#heap.free(block)
    }
  }

  /**
   * Parses the complete lines in `end` bytes, moves the rest to the front, and returns its length.
   */
  #lines(block, end) {
    let begin = 0
    for (let at = block.indexOf(LF); at >= 0 && at < end; at = block.indexOf(LF, begin)) {
      this.#line(block, begin, at)
      begin = at + 1
    }
    block.copyWithin(0, begin, end)
    return end - begin
  }

  /** One line, such as `::1 - - [27/Nov/2026:12:00:00 +0000] "GET /a HTTP/1.1" 200 512`. */
  #line(block, begin, end) {
    this.lines++
    const quote = block.indexOf(QUOTE, begin)
    const from = block.indexOf(SPACE, quote) + 1
    const to = block.indexOf(SPACE, from)
    const status = block.indexOf(QUOTE, to) + 2
    if (!(quote >= begin && from > quote && to > from && status > to && status + 5 <= end)) {
      this.skipped++
      return
    }
    const total = this.#find(block, from, to)
    total.requests++
    if (block[status] >= ZERO + 4) total.errors++
    let bytes = 0
    for (let at = status + 4; at < end && block[at] > MINUS; at++)
      bytes = bytes * 10 + block[at] - ZERO
    total.bytes += bytes
  }

  /** The record of the path in these bytes; a new one the first time. */
  #find(block, from, to) {
    let hash = 0
    for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + block[at]) >>> 0
    const { u8 } = this.#heap
    const place = this.#table.at(hash % this.#table.length)
    for (let i = hash; place.name !== 0; this.#table.at(++i % this.#table.length, place)) {
      if (place.hash !== hash || place.length !== to - from) continue
      let same = 0
      while (same < to - from && u8[place.name + same] === block[from + same]) same++
      if (same === to - from) return place
    }
    if (this.paths * 4 >= this.#table.length * 3) throw new RangeError('Too many paths')
    Object.assign(place, { name: this.#heap.from(block.subarray(from, to)).byteOffset, hash })
    place.length = to - from
    this.paths++
    return place
  }

  /** The totals of each path, as ordinary objects. */
  *[Symbol.iterator]() {
    for (const { name, length, requests, errors, bytes } of this.#table) {
      if (name === 0) continue
      yield { path: this.#heap.readString(name, 'utf8', length), requests, errors, bytes }
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const totals = new LogTotals(Heap.map(2 ** 30))
  for (const path of process.argv.slice(2)) await totals.add(path)
  console.table([...totals].sort((a, b) => b.requests - a.requests).slice(0, 10))
  console.log(`${totals.lines} lines, ${totals.paths} paths, ${totals.skipped} skipped`)
}
