/**
 * An index in a heap file: which documents contain a word? It is there at once when the program
 * starts again, even after kill -9. Run it to compare this with a JSON file:
 *
 *     node docs/recipes/durable-index.js           200,000 documents
 *     node docs/recipes/durable-index.js 5000      fewer
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Heap } from 'offheap'

const BUCKETS = 2 ** 16

// An entry is one block, in words of 4 bytes: the next entry of its bucket, its list, the length of
// its word, the word.
const NEXT = 0
const LIST = 1
const BYTES = 2
const ENTRY_BYTES = 12
// A list is one block as well: the count of its numbers, and the numbers.
const COUNT = 0

export class DurableIndex {
  #heap
  #u32
  #bytes // all of the heap, as a Buffer
  #buckets // pointer of the array of buckets, each the pointer of an entry or 0

  /**
   * Opens the index in the file, and creates it if there is none. `size` is the size of the file in
   * bytes.
   */
  constructor(path, size) {
    const heap = Heap.open(path, { size, create: true, placement: 'segregated-fit' })
    this.#heap = heap
    this.#u32 = heap.u32
    this.#bytes = Buffer.from(heap.buffer)
    if (heap.root === 0) {
      const buckets = heap.calloc(BUCKETS, 4)
      if (buckets === 0) throw new RangeError('The file is too small for an index')
      heap.root = buckets
    }
    this.#buckets = heap.root
    // A block that was allocated just before the process was killed may not be in the index.
    if (heap.recovered !== undefined) this.#freeUnreachable()
  }

  /** Records that the word is in the document, a number. */
  add(word, document) {
    const entry = this.#find(word) || this.#insert(word)
    const list = this.#u32[entry / 4 + LIST]
    const at = list / 4
    const count = this.#u32[at + COUNT]
    if ((count + 2) * 4 <= this.#heap.usableSize(list)) {
      this.#u32[at + 1 + count] = document
      this.#u32[at + COUNT] = count + 1 // now it is there
      return
    }
    const larger = this.#must(this.#heap.malloc((count + 2) * 8))
    this.#bytes.copyWithin(larger, list, list + (count + 1) * 4)
    this.#u32[larger / 4 + 1 + count] = document
    this.#u32[larger / 4 + COUNT] = count + 1
    this.#u32[entry / 4 + LIST] = larger // now it is there
    this.#heap.free(list)
  }

  /** The documents that contain the word: a view, valid until the next `add`. */
  documents(word) {
    const entry = this.#find(word)
    if (entry === 0) return new Uint32Array(0)
    const at = this.#u32[entry / 4 + LIST] / 4
    return this.#u32.subarray(at + 1, at + 1 + this.#u32[at + COUNT])
  }

  /** From now on, everything added so far survives a power failure. */
  sync() {
    this.#heap.sync()
  }

  close() {
    this.#heap.close()
  }

  #insert(word) {
    const bytes = Buffer.byteLength(word)
    const list = this.#must(this.#heap.malloc(8))
    this.#u32[list / 4 + COUNT] = 0
    const entry = this.#must(this.#heap.malloc(ENTRY_BYTES + bytes))
    const bucket = this.#bucketOf(word)
    this.#u32[entry / 4 + NEXT] = this.#u32[bucket]
    this.#u32[entry / 4 + LIST] = list
    this.#u32[entry / 4 + BYTES] = bytes
    this.#bytes.write(word, entry + ENTRY_BYTES)
    this.#u32[bucket] = entry // now it is there
    return entry
  }

  #find(word) {
    const bytes = Buffer.from(word)
    for (
      let entry = this.#u32[this.#bucketOf(word)];
      entry !== 0;
      entry = this.#u32[entry / 4 + NEXT]
    ) {
      const begin = entry + ENTRY_BYTES
      const end = begin + this.#u32[entry / 4 + BYTES]
      if (
        end - begin === bytes.length &&
        this.#bytes.compare(bytes, 0, bytes.length, begin, end) === 0
      )
        return entry
    }
    return 0
  }

  /** The word index of a word's bucket. */
  #bucketOf(word) {
    let hash = 0x811c9dc5
    for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193)
    return this.#buckets / 4 + ((hash ^ (hash >>> 15)) & (BUCKETS - 1))
  }

  #freeUnreachable() {
    const reachable = new Set([this.#buckets])
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      for (
        let entry = this.#u32[this.#buckets / 4 + bucket];
        entry !== 0;
        entry = this.#u32[entry / 4 + NEXT]
      ) {
        reachable.add(entry).add(this.#u32[entry / 4 + LIST])
      }
    }
    const lost = [...this.#heap.blocks()].filter(
      ({ used, pointer }) => used && !reachable.has(pointer)
    )
    for (const { pointer } of lost) this.#heap.free(pointer)
  }

  #must(pointer) {
    if (pointer === 0) throw new RangeError('The index is full')
    return pointer
  }
}

/** Documents of ten words each, some of them frequent. */
function* words(documents) {
  let seed = 1
  for (let document = 0; document < documents; document++) {
    for (let i = 0; i < 10; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      yield [`word${Math.floor((seed / 2 ** 32) ** 3 * 50_000)}`, document]
    }
  }
}

function timed(work) {
  const start = performance.now()
  const result = work()
  return [result, performance.now() - start]
}

function main(documents) {
  const folder = mkdtempSync(join(tmpdir(), 'offheap-index-'))
  const size = 2 ** 26 + documents * 200
  const [path, json] = [join(folder, 'index.heap'), join(folder, 'index.json')]
  const fill = () => {
    const index = new DurableIndex(path, size)
    for (const [word, document] of words(documents)) index.add(word, document)
    index.close()
  }
  const write = () => {
    const map = new Map()
    for (const [word, document] of words(documents)) {
      if (!map.has(word)) map.set(word, [])
      map.get(word).push(document)
    }
    writeFileSync(json, JSON.stringify([...map]))
  }
  const [, filled] = timed(fill)
  const [, written] = timed(write)
  const [index, opened] = timed(() => new DurableIndex(path, size))
  const [map, parsed] = timed(() => new Map(JSON.parse(readFileSync(json, 'utf8'))))
  const same = ['word0', 'word7', 'word49999', 'none'].every(
    word => index.documents(word).join() === (map.get(word) ?? []).join()
  )
  if (!same) throw new Error('the two indexes differ')
  const [, added] = timed(() => index.add('word7', documents))
  const [, again] = timed(() => {
    map.get('word7')?.push(documents)
    writeFileSync(json, JSON.stringify([...map]))
  })
  const line = (name, ...cells) =>
    console.log(name.padEnd(12) + cells.map(cell => cell.padStart(13)).join(''))
  const ms = time => `${time.toFixed(1)} ms`
  const mib = bytes => `${(bytes / 2 ** 20).toFixed(0)} MiB`
  console.log(`${documents.toLocaleString('en-US')} documents, Node ${process.version}`)
  line('index in', 'built', 'opened', 'one more', 'on disk')
  line('a heap file', ms(filled), ms(opened), ms(added), mib(statSync(path).blocks * 512))
  line('a JSON file', ms(written), ms(parsed), ms(again), mib(statSync(json).size))
  index.close()
  rmSync(folder, { recursive: true })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(Number(process.argv[2] ?? 200_000))
