/**
 * An HTTP server of several processes that share a cache, for docs/recipes/shared-cache.md:
 *
 *     node docs/recipes/cluster-server.js                     in a named region in memory
 *     node docs/recipes/cluster-server.js /var/tmp/app.heap   in a file, which survives a restart
 *
 * `curl localhost:8000/anything` is slow the first time, whichever process answers.
 */
import cluster from 'node:cluster'
import { pbkdf2Sync } from 'node:crypto'
import { createServer } from 'node:http'
import { availableParallelism } from 'node:os'
import { Heap } from 'offheap'
import { createCache, SharedCache } from './shared-cache.js'

const { PORT = 8000, WORKERS = availableParallelism() } = process.env
const path = process.argv[2] ?? 'shm:cluster-server'

function primary() {
  const heap = Heap.open(path, { size: 64 * 2 ** 20, create: true, shared: true })
  if (heap.root === 0) createCache(heap, 2 ** 14)
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      // First the workers: one that is still starting would report that its primary is gone.
      for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL')
      process.exit()
    })
  }
  for (let i = 0; i < WORKERS; i++) cluster.fork()
  // A worker that is killed at any moment leaves the heap and the cache consistent.
  cluster.on('exit', (_worker, _code, signal) => {
    if (signal !== null) cluster.fork()
  })
}

function worker() {
  const cache = new SharedCache(Heap.open(path, { shared: true }))
  const server = createServer((request, response) => {
    const known = cache.get(request.url)
    const page = known ?? render(request.url)
    if (known === undefined) cache.set(request.url, page)
    response.setHeader('x-cache', known === undefined ? 'miss' : 'hit')
    response.end(page)
  })
  server.listen(PORT)
}

/** Stands for work that takes a long time. */
function render(url) {
  return Buffer.from(pbkdf2Sync(url, 'salt', 200_000, 32, 'sha256').toString('hex'))
}

if (cluster.isPrimary) primary()
else worker()
