/**
 * An HTTP server that caches rendered pages in a HeapCache, and one with a Map. Run it to compare
 * the pauses that each causes:
 *
 *     node docs/recipes/http-cache.js            a million pages
 *     node docs/recipes/http-cache.js 20000 2    fewer, and two seconds of requests
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { Agent, createServer, get } from 'node:http'
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { HeapCache } from 'offheap/map'

/**
 * Creates a server of what `render(path)` returns, a promise of HTML. `cache` is a HeapCache of
 * strings, or anything with the same `fetch`. Requests for a page that is being rendered wait for
 * it, so that it is rendered once.
 */
export function cachingServer(cache, render) {
  return createServer(async (request, response) => {
    if (request.method !== 'GET') {
      response.writeHead(405, { allow: 'GET' }).end()
      return
    }
    try {
      const html = await cache.fetch(request.url, { context: render })
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html)
    } catch {
      response.writeHead(502).end()
    }
  })
}

/** At most `bytes` bytes of pages, each for a minute. */
export function pageCache(bytes) {
  const fetchMethod = (path, _stale, { context: render }) => render(path)
  return HeapCache.create({ size: bytes, ttl: 60_000, fetchMethod })
}

/** What many programs use instead: a Map that drops its oldest page. */
export class MapCache {
  #pages = new Map()
  #most

  constructor(most) {
    this.#most = most
  }

  set(path, page) {
    if (this.#pages.size >= this.#most) this.#pages.delete(this.#pages.keys().next().value)
    this.#pages.set(path, page)
  }

  async fetch(path, { context: render }) {
    const found = this.#pages.get(path)
    if (found !== undefined) return found
    const page = await render(path)
    this.set(path, page)
    return page
  }
}

const pathOf = page => `/page/${page}`
const htmlOf = path => `<!doctype html><title>${path}</title>${`<p>${path}</p>`.repeat(10)}`

/** One in ten requests is for a page that is not in the cache, so the oldest one is evicted. */
async function measure(name, cache, pages, seconds) {
  for (let page = 0; page < pages; page++) cache.set(pathOf(page), htmlOf(pathOf(page)))
  const server = cachingServer(cache, async path => htmlOf(path)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const pauses = []
  const observer = new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) pauses.push(duration)
  })
  observer.observe({ entryTypes: ['gc'] })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const client = new Worker(fileURLToPath(import.meta.url), {
    workerData: { port: server.address().port, pages, seconds }
  })
  const [{ requests, slowest }] = await once(client, 'message')
  delay.disable()
  observer.disconnect()
  server.close()
  server.closeAllConnections()
  const worst = Math.max(0, ...pauses)
  const cells = [Math.round(requests / seconds).toLocaleString('en-US'), `${slowest.toFixed(0)} ms`]
  cells.push(`${worst.toFixed(0)} ms`, `${(delay.max / 1e6).toFixed(0)} ms`)
  cells.push(`${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB`)
  line(name, cells)
}

function line(name, cells) {
  console.log(name.padEnd(10) + cells.map(cell => cell.padStart(16)).join(''))
}

/** Sends requests from a separate thread, over ten connections. */
async function request({ port, pages, seconds }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 10 })
  const end = performance.now() + seconds * 1000
  let [requests, slowest] = [0, 0]
  const connection = async () => {
    while (performance.now() < end) {
      const page = Math.floor(Math.random() * pages * 1.1)
      const began = performance.now()
      const [response] = await once(get({ agent, port, path: pathOf(page) }), 'response')
      await once(response.resume(), 'end')
      slowest = Math.max(slowest, performance.now() - began)
      requests++
    }
  }
  await Promise.all(Array.from({ length: 10 }, connection))
  agent.destroy()
  return { requests, slowest }
}

/** Each cache runs in its own process. */
async function main(pages, seconds, name) {
  if (name === 'Map') await measure(name, new MapCache(pages), pages, seconds)
  else if (name === 'HeapCache') await measure(name, pageCache(pages * 500), pages, seconds)
  else {
    console.log(`${pages.toLocaleString('en-US')} pages, Node ${process.version}`)
    const head = ['requests/s', 'slowest request', 'worst GC pause', 'worst delay']
    line('cache', [...head, 'resident'])
    for (const each of ['HeapCache', 'Map']) {
      const args = [fileURLToPath(import.meta.url), `${pages}`, `${seconds}`, each]
      execFileSync(process.execPath, args, { stdio: 'inherit' })
    }
  }
}

if (!isMainThread) parentPort.postMessage(await request(workerData))
else if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [pages = 1_000_000, seconds = 10, name] = process.argv.slice(2)
  await main(Number(pages), Number(seconds), name)
}
