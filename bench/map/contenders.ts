/**
 * The maps and caches that are compared, all in one file, because each is a few calls of a library.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Heap } from '#lib/index.js'
import { HeapCache, HeapMap, SharedMap } from '#lib/map/index.js'
import { ROOT } from '../paths.js'

/** A map of strings. */
export interface Subject {
  get(key: string): string | undefined
  set(key: string, value: string): unknown
  getMany?(keys: readonly string[]): readonly (string | undefined)[]
  /** Runs many calls, in one transaction if the library has transactions. */
  all(calls: () => void): void
  close(): void
}

/** Packages that are installed only in this folder. */
const require = createRequire(`${ROOT}bench/map/package.json`)

const plain = (calls: () => void): void => calls()

/** A folder in memory, if the system has one. */
function folder(): { path: string; remove: () => void } {
  const path = mkdtempSync(
    join(process.platform === 'linux' ? '/dev/shm' : tmpdir(), 'offheap-bench-')
  )
  return { path, remove: () => rmSync(path, { recursive: true }) }
}

/** Creates each of them with room for `entries` entries, which is the limit of a cache. */
export const MAKERS: Readonly<Record<string, (entries: number, bytes: number) => Subject>> = {
  Map: () => {
    const map = new Map<string, string>()
    return {
      get: key => map.get(key),
      set: (key, value) => map.set(key, value),
      all: plain,
      close: () => map.clear()
    }
  },
  HeapMap: (entries, bytes) => {
    const map = HeapMap.create<string, string>({ size: sizeFor(entries, bytes) })
    return {
      get: key => map.get(key),
      set: (key, value) => map.set(key, value),
      getMany: keys => map.getMany(keys),
      all: plain,
      close: () => map.close()
    }
  },
  HeapCache: (entries, bytes) => {
    const cache = HeapCache.create<string, string>({ size: sizeFor(entries, bytes), max: entries })
    return {
      get: key => cache.get(key),
      set: (key, value) => cache.set(key, value),
      all: plain,
      close: () => cache.close()
    }
  },
  SharedMap: (entries, bytes) => {
    const heap = Heap.map({ size: sizeFor(entries, bytes), shared: true, arenas: 1 })
    const map = SharedMap.create<string, string>(heap)
    return {
      get: key => map.get(key),
      set: (key, value) => map.set(key, value),
      all: plain,
      close: () => heap.close()
    }
  },
  'lru-cache': entries => {
    const { LRUCache } = require('lru-cache')
    const cache = new LRUCache({ max: entries })
    return {
      get: key => cache.get(key),
      set: (key, value) => cache.set(key, value),
      all: plain,
      close: () => cache.clear()
    }
  },
  lmdb: () => {
    const { open } = require('lmdb')
    const { path, remove } = folder()
    const db = open({ path, encoding: 'string', noSync: true })
    return {
      get: key => db.get(key),
      set: (key, value) => db.putSync(key, value),
      all: calls => db.transactionSync(calls),
      close: () => {
        db.close()
        remove()
      }
    }
  },
  'better-sqlite3': () => {
    const Database = require('better-sqlite3')
    const db = new Database(':memory:')
    db.exec('create table entries (key text primary key, value text) without rowid')
    const get = db.prepare('select value from entries where key = ?').pluck()
    const set = db.prepare('insert or replace into entries values (?, ?)')
    return {
      get: key => get.get(key),
      set: (key, value) => set.run(key, value),
      all: calls => db.transaction(calls)(),
      close: () => db.close()
    }
  }
}

const sizeFor = (entries: number, bytes: number): number =>
  Math.min(2 ** 32 - 2 ** 16, entries * 2 * (bytes + 100) + 2 ** 20)
