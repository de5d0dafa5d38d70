/**
 * A cache handler for web frameworks such as Next.js (`cacheHandler` in next.config.js), on a heap
 * file: rendered pages survive a restart, even after kill -9, and take no room in the heap of V8.
 */
import { existsSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import { Heap } from 'offheap'
import { HeapCache, HeapMap } from 'offheap/map'

/** The open files, by path: a framework may create several handlers in one process. */
const stores = new Map()

/** Opens the cache in a file, and the times when tags were last revalidated. */
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

  /**
   * A new file has `size` bytes. When it is full, entries that were not used recently are evicted.
   */
  constructor({ file = process.env.CACHE_FILE ?? 'cache.heap', size = 2 ** 28 } = {}) {
    if (!stores.has(file)) stores.set(file, open(file, size))
    this.#path = file
    this.#store = stores.get(file)
  }

  /** The entry of a key; null if there is none, or if one of its tags was revalidated since. */
  async get(key) {
    const { entries, tags } = this.#store
    const bytes = entries.get(key)
    if (bytes === undefined) return null
    const entry = deserialize(bytes)
    if (entry.tags.every(tag => (tags.get(tag) ?? 0) < entry.lastModified)) return entry
    entries.delete(key)
    return null
  }

  /** Stores what was rendered, if there is room for it. Null stands for nothing. */
  async set(key, data, { tags = [], revalidate } = {}) {
    const entry = { value: data, lastModified: Date.now(), tags }
    const ttl = revalidate ? revalidate * 1000 : 0 // 0: forever
    try {
      this.#store.entries.set(key, serialize(entry), { ttl })
    } catch (error) {
      if (error.code !== 'ERR_OFFHEAP_OUT_OF_MEMORY') throw error
      this.#store.entries.delete(key)
    }
  }

  /** Invalidates all entries with one of these tags. */
  async revalidateTag(tag) {
    for (const each of [tag].flat()) this.#store.tags.set(each, Date.now())
  }

  /** Does nothing: no state belongs to a single request. */
  resetRequestCache() {}

  /** Closes the file for all its handlers. A handler that is created later opens it again. */
  close() {
    stores.delete(this.#path)
    this.#store.heap.close()
  }
}
