/**
 * A cache handler as web frameworks such as Next.js ask for one (`cacheHandler` in
 * next.config.js), on a heap file: what was rendered before a restart is there after it, also after
 * kill -9, and takes no room in the heap of V8.
 */
import { existsSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import { Heap } from 'offheap'
import { HeapCache, HeapMap } from 'offheap/map'

/** The open files, by path: a framework may make several handlers in one process. */
const stores = new Map()

/** The cache in a file, and when each tag was last revalidated. */
function open(path, size) {
  const made = { size, create: true, placement: 'segregated-fit' }
  const heap = Heap.open(path, existsSync(path) ? {} : made)
  const { roots } = heap
  const entriesAt = roots.get('entries')
  const tagsAt = roots.get('tags')
  const entries = entriesAt ? HeapCache.open(heap, entriesAt) : HeapCache.create(heap)
  const tags = tagsAt ? HeapMap.open(heap, tagsAt) : HeapMap.create(heap)
  roots.set('entries', entries.pointer)
  roots.set('tags', tags.pointer)
  return { heap, entries, tags }
}

export default class CacheHandler {
  #path
  #store

  /** A new file has at most `size` bytes; when it is full, what is used least goes. */
  constructor({ file = process.env.CACHE_FILE ?? 'cache.heap', size = 2 ** 28 } = {}) {
    if (!stores.has(file)) stores.set(file, open(file, size))
    this.#path = file
    this.#store = stores.get(file)
  }

  /** The entry of a key; null when there is none, or when one of its tags was revalidated since. */
  async get(key) {
    const { entries, tags } = this.#store
    const bytes = entries.get(key)
    if (bytes === undefined) return null
    const entry = deserialize(bytes)
    if (entry.tags.every(tag => (tags.get(tag) ?? 0) < entry.lastModified)) return entry
    entries.delete(key)
    return null
  }

  /** Keeps what was rendered, if there is room for it; null says that there is nothing. */
  async set(key, data, { tags = [], revalidate } = {}) {
    const entry = { value: data, lastModified: Date.now(), tags }
    const ttl = revalidate ? revalidate * 1000 : 0 // 0: for ever
    try {
      this.#store.entries.set(key, serialize(entry), { ttl })
    } catch (error) {
      if (error.code !== 'ERR_OFFHEAP_OUT_OF_MEMORY') throw error
      this.#store.entries.delete(key)
    }
  }

  /** From now on, what was kept with one of these tags is gone. */
  async revalidateTag(tag) {
    for (const each of [tag].flat()) this.#store.tags.set(each, Date.now())
  }

  /** There is nothing that belongs to one request only. */
  resetRequestCache() {}

  /** Closes the file: every handler of it ends. A handler that is made later opens it again. */
  close() {
    stores.delete(this.#path)
    this.#store.heap.close()
  }
}
