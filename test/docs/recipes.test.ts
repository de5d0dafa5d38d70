/**
 * The recipes, with real files, sockets, modules and garbage collection. samples.test.ts runs the
 * samples of the pages.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type InstalledPackage, installPackage, root } from './package.js'

let offheap: InstalledPackage

beforeAll(() => {
  offheap = installPackage()
})

afterAll(() => offheap.remove())

/** Runs a module in the folder of the recipes; it fails by throwing. */
async function passes(text: string): Promise<void> {
  const head = `import assert from 'node:assert/strict'\nimport { Heap } from 'offheap'\n`
  expect(await offheap.sample(head + text, 'docs/recipes')).toEqual({ code: 0, out: '', err: '' })
}

describe('HeapReadStream', () => {
  const head = `
    import { createHash, randomBytes } from 'node:crypto'
    import { mkdtempSync, writeFileSync } from 'node:fs'
    import { tmpdir } from 'node:os'
    import { join } from 'node:path'
    import { setTimeout } from 'node:timers/promises'
    import { HeapReadStream } from './heap-read-stream.js'

    const heap = Heap.map(2 ** 20)
    const path = join(mkdtempSync(join(tmpdir(), 'offheap-')), 'data')
    const data = randomBytes(1_000_003)
    writeFileSync(path, data)
  `

  test('reads a file into blocks of the heap, even for a slow reader', async () => {
    await passes(`${head}
      const parts = []
      for await (const chunk of new HeapReadStream(path, heap, 10_000)) {
        assert.equal(chunk.buffer, heap.buffer)
        if (parts.length % 16 === 0) await setTimeout(1)
        parts.push(Buffer.from(chunk))
        heap.free(chunk)
      }
      assert.deepEqual(Buffer.concat(parts), data)
      assert.equal(heap.stats().blocks, 0)`)
  })

  test('passes blocks to a listener too', async () => {
    await passes(`${head}
      const hash = createHash('sha256')
      const stream = new HeapReadStream(path, heap)
      stream.on('data', chunk => {
        hash.update(chunk)
        heap.free(chunk)
      })
      await new Promise((resolve, reject) => stream.on('close', resolve).on('error', reject))
      assert.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'))
      assert.equal(heap.stats().blocks, 0)`)
  })

  test('frees unread blocks if the reader stops at any time', async () => {
    await passes(`${head}
      for (const wait of [0, 1, 5]) {
        const stream = new HeapReadStream(path, heap, 10_000)
        for await (const chunk of stream) {
          await setTimeout(wait)
          heap.free(chunk)
          break
        }
        if (!stream.closed) await new Promise(resolve => stream.on('close', resolve))
        assert.equal(heap.stats().blocks, 0)
      }
      const unread = new HeapReadStream(path, heap)
      unread.destroy()
      await new Promise(resolve => unread.on('close', resolve))
      assert.equal(heap.stats().blocks, 0)
      heap.check()`)
  })

  test('fails for a missing file, and without memory, and loses no block', async () => {
    await passes(`${head}
      const read = async stream => {
        for await (const chunk of stream) heap.free(chunk)
      }
      await assert.rejects(read(new HeapReadStream(path + '-not', heap)), { code: 'ENOENT' })
      const tooLarge = read(new HeapReadStream(path, heap, 2 ** 21))
      await assert.rejects(tooLarge, { code: 'ERR_OFFHEAP_OUT_OF_MEMORY' })
      assert.equal(heap.stats().blocks, 0)`)
  })
})

describe('zero-copy parsing', () => {
  test('of records decodes what was encoded', async () => {
    await passes(`
      import { encode, RecordCursor } from './records.js'
      const heap = Heap.map(2 ** 20)
      const names = ['', 'a', 'exactly8', 'nine char', 'ünïcødé ✓']
      const written = names.map((name, kind) => ({ kind, time: kind / 3, name }))
      const bytes = encode(written)
      const block = heap.allocBuffer(bytes.length)
      bytes.copy(block)
      const record = new RecordCursor(heap, block)
      const read = []
      while (record.next()) read.push({ kind: record.kind, time: record.time, name: record.name })
      assert.deepEqual(read, written)`)
  })

  test('of records reads nothing after the block, whatever is in it', async () => {
    await passes(`
      import { encode, RecordCursor } from './records.js'
      const heap = Heap.map(2 ** 20)
      const good = encode([{ kind: 1, time: 2, name: 'four' }])
      for (const size of [0, 8, 15, 17, 32, 2 ** 31, 2 ** 32 - 8]) {
        const block = heap.allocBuffer(good.length)
        good.copy(block)
        block.writeUInt32LE(size)
        const record = new RecordCursor(heap, block)
        assert.throws(() => record.next(), /^RangeError: Byte 0: a record of/)
      }
      const cut = heap.allocBuffer(12)
      assert.throws(() => new RecordCursor(heap, cut).next(), RangeError)`)
  })

  test('of request heads finds all parts, waits for the end, and rejects others', async () => {
    await passes(`
      import { parseHead } from './request-head.js'
      const heap = Heap.map(2 ** 20)
      const parse = (text, places = 64) => {
        const bytes = heap.allocBuffer(Buffer.byteLength(text))
        bytes.write(text)
        const parts = new Int32Array(places)
        const count = parseHead(bytes, parts)
        const found = []
        for (let i = 0; i < count; i += 2) {
          found.push(bytes.toString('latin1', parts[i], parts[i + 1]))
        }
        return found
      }
      const head = 'POST /a?b=c HTTP/1.1\\r\\nHost:x\\r\\nLength:  17 \\nEmpty:\\r\\n\\r\\n'
      const request = ['POST', '/a?b=c', 'HTTP/1.1']
      const headers = ['Host', 'x', 'Length', '17 ', 'Empty', '']
      assert.deepEqual(parse(head + 'body: not a header'), [...request, ...headers])
      for (let length = 0; length < head.length; length++) {
        assert.deepEqual(parse(head.slice(0, length)), [])
      }
      const noColon = 'GET / HTTP/1.1\\r\\nno colon\\r\\n\\r\\n'
      for (const bad of ['\\r\\n\\r\\n x', 'GET\\r\\n\\r\\n', 'GET /\\r\\n\\r\\n', noColon]) {
        if (bad.startsWith('\\r')) assert.deepEqual(parse(bad), [])
        else assert.throws(() => parse(bad), RangeError)
      }
      assert.throws(() => parse(head, 8), /Too many headers/)`)
  })
})

test('struct arrays: both layouts and plain numbers agree', async () => {
  await passes(`
    import { GrowingNumbers, ParticleArrays, ParticleStructs } from './structs.js'
    const heap = Heap.map(2 ** 20)
    const all = [new ParticleArrays(heap, 50), new ParticleStructs(heap, 50)]
    for (const particles of all) for (let i = 0; i < 50; i++) particles.set(i, i, -i, i / 3, 7)
    for (const particles of all) for (let step = 0; step < 3; step++) particles.move(0.5)
    for (let i = 0; i < 50; i++) {
      const expected = Math.hypot(i + 1.5 * (i / 3), -i + 1.5 * 7)
      for (const particles of all) assert.ok(Math.abs(particles.distance(i) - expected) < 1e-9)
    }
    const numbers = new GrowingNumbers(heap)
    const other = new GrowingNumbers(heap)
    for (let i = 0; i < 3000; i++) {
      numbers.push(i)
      other.push(-i)
    }
    for (let i = 0; i < 3000; i++) assert.deepEqual([numbers.at(i), other.at(i)], [i, -i])
    assert.throws(() => numbers.at(3000), RangeError)
    assert.throws(() => { for (;;) numbers.push(1) }, /The heap is full/)
    assert.equal(numbers.at(2999), 2999)
    for (const one of [...all, numbers, other]) one.free()
    assert.equal(heap.stats().blocks, 0)`)
})

test('the log parser agrees with a simple one, however the file is split', async () => {
  await passes(`
    import { mkdtempSync, writeFileSync } from 'node:fs'
    import { tmpdir } from 'node:os'
    import { join } from 'node:path'
    import { LogTotals } from './log-parser.js'
    const heap = Heap.map(2 ** 22)
    const file = join(mkdtempSync(join(tmpdir(), 'offheap-')), 'access.log')
    const expected = new Map()
    let text = ''
    let skipped = 0
    for (let i = 0; i < 2000; i++) {
      const path = '/p' + ((i * i) % 97) + 'é'.repeat(i % 3)
      const [status, bytes] = [200 + (i % 4) * 100, (i * 7919) % 5000]
      if (i % 50 === 0) { text += 'no line of a log ' + i + '\\n'; skipped++; continue }
      const length = i % 9 === 0 ? '-' : bytes
      text += '::1 - - [x] "GET ' + path + ' HTTP/1.1" ' + status + ' ' + length + '\\n'
      const total = expected.get(path) ?? { path, requests: 0, errors: 0, bytes: 0 }
      total.requests++
      if (status >= 400) total.errors++
      if (i % 9 !== 0) total.bytes += bytes
      expected.set(path, total)
    }
    const sorted = totals => [...totals].sort((a, b) => (a.path < b.path ? -1 : 1))
    for (const [tail, blockBytes] of [['\\n', 262144], ['', 262144], ['\\n', 100], ['', 117]]) {
      writeFileSync(file, text.trimEnd() + tail)
      const totals = new LogTotals(heap, 1000)
      await totals.add(file, blockBytes)
      assert.deepEqual(sorted(totals), sorted(expected.values()))
      assert.deepEqual([totals.lines, totals.skipped, totals.paths], [2000, skipped, expected.size])
      heap.reset()
    }
    const totals = new LogTotals(heap, 10)
    await assert.rejects(totals.add(file), /Too many paths/)
    await assert.rejects(new LogTotals(heap, 10).add(file, 20), /a line of over 20 bytes/)
    await assert.rejects(totals.add(file + '-not'), { code: 'ENOENT' })
    heap.close()`)
})

test('the pixel pipeline agrees with one thread, for any number of workers', async () => {
  await passes(`
    import { Pipeline, steps } from './pixels.js'
    const alone = (pixels, width, ...names) => {
      for (const name of names) {
        const to = new Uint8Array(pixels.length)
        const height = pixels.length / width
        for (let y = 0; y < height; y++) steps[name](pixels, to, width, height, y)
        pixels = to
      }
      return pixels
    }
    const image = (width, height) =>
      Uint8Array.from({ length: width * height }, (_, i) => (i * i * 7) >> 3)
    for (const workers of [1, 3]) {
      const pipeline = new Pipeline(workers, 2 ** 20)
      const all = [33, 50, 'blur', 'edges', 'invert']
      const runs = [[40, 30, 'blur'], [7, 2, 'edges', 'blur'], [1, 1, 'invert'], all, [5, 5]]
      const made = runs.map(([width, height, ...names]) =>
        pipeline.run(image(width, height), width, ...names)
      )
      for (const [i, [width, height, ...names]] of runs.entries()) {
        assert.deepEqual(await made[i], alone(image(width, height), width, ...names))
      }
      const tooLarge = pipeline.run(new Uint8Array(2 ** 20), 1024, 'blur')
      await assert.rejects(tooLarge, { code: 'ERR_OFFHEAP_OUT_OF_MEMORY' })
      assert.equal((await pipeline.run(image(4, 4), 4, 'invert')).length, 16)
      await pipeline.close()
    }`)
})

describe('the LRU cache', () => {
  test('evicts the least recently used entry, and returns no wrong value', async () => {
    await passes(`
      import { HeapCache } from './lru-cache.js'
      const cache = new HeapCache(64 * 1024)
      const order = new Map() // the same as a model, oldest first
      let seed = 1
      const random = below => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
        return Math.floor((seed / 2 ** 32) * below)
      }
      let hits = 0
      for (let i = 0; i < 20_000; i++) {
        const key = 'key ✓ ' + random(400)
        const expected = order.get(key)
        if (random(3) === 0) {
          const value = Buffer.alloc(random(300), i)
          cache.set(key, value)
          order.delete(key)
          order.set(key, value)
        } else {
          const found = cache.get(key)
          if (found === undefined) order.delete(key)
          else {
            hits++
            assert.deepEqual(found, expected)
            order.delete(key)
            order.set(key, expected)
          }
        }
      }
      assert.ok(hits > 1000)
      // The newest entries are left: if one is missing, all older ones are.
      const newestFirst = [...order].reverse().map(([key]) => cache.get(key) !== undefined)
      assert.ok(newestFirst.slice(0, cache.size).every(Boolean))
      assert.throws(() => cache.set('x', Buffer.alloc(64 * 1024)), /larger than the cache/)
      assert.equal(cache.size, 0)
      cache.set('again', Buffer.from('ok'))
      assert.equal(cache.get('again').toString(), 'ok')
      cache.close()`)
  })

  test('is compared with a Map: as many hits, less time in pauses', async () => {
    const { code, out, err } = await offheap.recipe('lru-cache.js', '10000')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const [title, head, heap, map, ...rest] = out.split('\n')
    expect(title).toMatch(/^10,000 entries, Node v\d+/)
    expect(head).toMatch(
      /^cache +entries at the end +seconds +GC pauses +worst pause +in GC +resident$/
    )
    const cells = /^(heap|map) +[\d,]{6} +[\d.]+ +\d+ +[\d.]+ ms +\d+ ms +\d+ MiB$/
    expect(heap).toMatch(cells)
    expect(map).toMatch(cells)
    expect(rest).toEqual([''])
    const single = await Promise.all(
      ['heap', 'map'].map(kind => offheap.recipe('lru-cache.js', '10000', kind))
    )
    const [ours, theirs] = single.map(one => JSON.parse(one.out))
    expect(theirs.size).toBe(10_000)
    expect(Math.abs(ours.size - theirs.size)).toBeLessThan(600)
    expect(Math.abs(ours.hits / theirs.hits - 1)).toBeLessThan(0.1)
    expect(ours.pauses).toBeGreaterThan(0)
  })
})

describe('the index that survives restarts', () => {
  const head = `
    import { spawn } from 'node:child_process'
    import { mkdtempSync } from 'node:fs'
    import { once } from 'node:events'
    import { tmpdir } from 'node:os'
    import { join } from 'node:path'
    import { fileURLToPath } from 'node:url'
    import { DurableIndex } from './durable-index.js'
    const path = join(mkdtempSync(join(tmpdir(), 'offheap-')), 'index.heap')
    const size = 2 ** 23
  `

  test('agrees with a Map of lists, even after it was closed and opened', async () => {
    await passes(`${head}
      const model = new Map()
      let index = new DurableIndex(path, size)
      for (let i = 0; i < 5000; i++) {
        const word = 'wörd ' + ((i * 7919) % 300)
        index.add(word, i)
        model.set(word, [...(model.get(word) ?? []), i])
        if (i % 1000 === 999) {
          index.close()
          index = new DurableIndex(path, size)
        }
      }
      for (const [word, documents] of model) assert.deepEqual([...index.documents(word)], documents)
      assert.equal(index.documents('none').length, 0)
      assert.throws(() => { for (let i = 0; ; i++) index.add('word ' + i, i) }, /The index is full/)
      assert.deepEqual([...index.documents('wörd 7')], model.get('wörd 7'))
      index.close()`)
  })

  test('has what was added before its process was killed, and no lost block', async () => {
    await passes(`${head}
      const script = \`
        import { DurableIndex } from './durable-index.js'
        const index = new DurableIndex(\${JSON.stringify(path)}, \${size})
        for (let i = 0; i < 1e6; i++) {
          index.add('word ' + (i % 500), i % 100000)
          if (i % 1000 === 0) process.stdout.write(i + '\\\\n')
        }
      \`
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        cwd: fileURLToPath(new URL('.', import.meta.url))
      })
      let said = ''
      for await (const text of child.stdout) {
        said += text
        if (said.includes('20000')) child.kill('SIGKILL')
      }
      const least = Number(said.trim().split('\\n').at(-1))
      assert.ok(least >= 20000)
      const index = new DurableIndex(path, size)
      let count = 0
      let length = -1
      for (let i = 0; i < 500; i++) {
        const documents = index.documents('word ' + i)
        for (const [turn, document] of documents.entries()) {
          assert.equal(document, (turn * 500 + i) % 100000)
        }
        assert.ok(length === -1 || documents.length === length || documents.length === length - 1)
        length = documents.length
        count += length
      }
      assert.ok(count >= least)
      index.close()
      // The buckets, an entry and a list for each word.
      const heap = Heap.open(path)
      assert.equal(heap.stats().blocks, 1001)`)
  })
})

describe('WebAssembly', () => {
  test('a module and JavaScript share blocks, and both allocate', async () => {
    await passes(`
      import { SharedModule } from './webassembly.js'
      const { heap, exports, memory } = new SharedModule(2)
      const floats = heap.allocArray(Float64Array, 500).fill(0.5)
      assert.equal(floats.buffer, memory.buffer)
      assert.equal(exports.sum(floats.byteOffset, 500), 250)
      const pointer = exports.squares(100)
      assert.ok(heap.owns(pointer))
      assert.equal(exports.sum(pointer, 100), 328350)
      assert.equal(exports.squares(1e6), 0)
      heap.free(pointer)
      heap.free(floats)
      assert.equal(heap.stats().blocks, 0)`)
  })

  test('growing the memory detaches the heap, which can be attached again', async () => {
    await passes(`
      import { SharedModule } from './webassembly.js'
      const shared = new SharedModule(1)
      const before = shared.heap
      const pointer = shared.exports.squares(50)
      const view = before.view(pointer)
      shared.grow(3)
      assert.equal(view.length, 0)
      assert.throws(() => before.malloc(8), { code: 'ERR_OFFHEAP_CLOSED' })
      assert.equal(shared.exports.sum(pointer, 50), 40425)
      assert.ok(shared.heap.owns(pointer))
      assert.equal(shared.heap.stats().size, 65536)
      shared.heap.free(pointer)
      shared.heap.check()`)
  })
})

test('the commands on the pages run, and print figures of the same form', async () => {
  const { out, err, code } = await offheap.recipe('structs.js', '2000')
  expect({ err, code }).toEqual({ err: '', code: 0 })
  const shape = (text: string) => text.replace(/[\d.,]+/g, '#').replace(/ +/g, ' ')
  const page = (name: string) => readFileSync(join(root, 'docs/recipes', name), 'utf8')
  expect(shape(page('struct-arrays.md'))).toContain(shape(out.split('\n').slice(1).join('\n')))
  const { out: index } = await offheap.recipe('durable-index.js', '2000')
  expect(shape(page('durable-index.md'))).toContain(shape(index.split('\n').slice(1).join('\n')))
  const { out: requests } = await offheap.recipe('http-cache.js', '2000', '1')
  expect(shape(page('http-cache.md'))).toContain(shape(requests.split('\n').slice(1).join('\n')))
  for (const [name, what, count] of [
    ['threads.md', 'array', '10'],
    ['threads.md', 'queue', '200'],
    ['shared-cache.md', 'cache', '50']
  ] as const) {
    const { out: costs, err } = await offheap.recipe('sharing-costs.js', what, count)
    expect(err).toBe('')
    expect(shape(page(name))).toContain(shape(costs.split('\n').slice(1).join('\n')))
  }
  const { out: table } = await offheap.recipe('lru-cache.js', '2000')
  expect(shape(page('lru-cache.md'))).toContain(shape(table.split('\n').slice(1).join('\n')))
})

describe('the cache handler', () => {
  const head = `
    import { spawnSync } from 'node:child_process'
    import { mkdtempSync, rmSync } from 'node:fs'
    import { tmpdir } from 'node:os'
    import { join } from 'node:path'
    import CacheHandler from './cache-handler.js'
    const folder = mkdtempSync(join(tmpdir(), 'offheap-'))
    process.on('exit', () => rmSync(folder, { recursive: true }))
    const file = join(folder, 'cache.heap')
  `

  test('reads what a killed process wrote, including Buffers and Maps', async () => {
    await passes(`${head}
      const { href } = new URL('cache-handler.js', import.meta.url)
      const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', \`
        import CacheHandler from \${JSON.stringify(href)}
        const handler = new CacheHandler({ file: \${JSON.stringify(file)} })
        const value = { html: 'ü', bytes: Buffer.from([1, 2]), map: new Map([[1, 'one']]) }
        await handler.set('/a', value, { tags: ['x', 'y'] })
        await handler.set('/b', { html: 'b' })
        process.kill(process.pid, 'SIGKILL')
      \`])
      assert.equal(signal, 'SIGKILL')
      const handler = new CacheHandler({ file })
      const { value, tags, lastModified } = await handler.get('/a')
      assert.deepEqual(value, { html: 'ü', bytes: Buffer.from([1, 2]), map: new Map([[1, 'one']]) })
      assert.deepEqual(tags, ['x', 'y'])
      assert.equal(typeof lastModified, 'number')
      assert.equal(await handler.get('/none'), null)
      handler.close()`)
  })

  test('removes entries with a revalidated tag, and no others', async () => {
    await passes(`${head}
      const handler = new CacheHandler({ file, size: 2 ** 22 })
      await handler.set('/a', 1, { tags: ['x', 'y'] })
      await handler.set('/b', 2, { tags: ['z'] })
      await handler.revalidateTag(['y', 'unknown'])
      assert.equal(await handler.get('/a'), null)
      const second = new CacheHandler({ file })
      assert.equal((await second.get('/b')).value, 2)
      handler.close()`)
  })

  test('stores what it has room for, and drops the rest without an error', async () => {
    await passes(`${head}
      const handler = new CacheHandler({ file, size: 2 ** 20 })
      for (let i = 0; i < 500; i++) await handler.set('/' + i, 'x'.repeat(10_000))
      assert.equal((await handler.get('/499')).value.length, 10_000)
      await handler.set('/499', 'x'.repeat(2 ** 21))
      assert.equal(await handler.get('/499'), null)
      handler.close()`)
  })
})

test('the HTTP server renders a page once, and answers other methods with 405', async () => {
  await passes(`
    import { once } from 'node:events'
    import { cachingServer, pageCache } from './http-cache.js'
    let made = 0
    const cache = pageCache(2 ** 24)
    const render = async path => {
      if (path === '/broken') throw new Error('on purpose')
      return path + ++made
    }
    const server = cachingServer(cache, render).listen(0)
    await once(server, 'listening')
    const base = 'http://localhost:' + server.address().port
    const ask = async (path, options) => {
      const answer = await fetch(base + path, options)
      return answer.status + ' ' + (await answer.text())
    }
    const answers = await Promise.all([ask('/a'), ask('/a'), ask('/b')])
    assert.deepEqual(answers, ['200 /a1', '200 /a1', '200 /b2'])
    assert.equal(await ask('/a'), '200 /a1')
    assert.equal(await ask('/broken'), '502 ')
    assert.equal(await ask('/a', { method: 'POST' }), '405 ')
    server.close()
    server.closeAllConnections()
    cache.close()`)
})

describe.runIf(process.platform === 'linux')('the shared cache', () => {
  const head = `
    import { rmSync } from 'node:fs'
    import { createCache, SharedCache } from './shared-cache.js'
    const name = 'recipe-test-' + process.pid
    const options = { size: 2 ** 20, create: true, shared: true, arenas: 2 }
    const open = () => Heap.open('shm:' + name, options)
    const heap = open()
    process.on('exit', () => rmSync('/dev/shm/offheap-' + name))
  `

  test('returns the latest value or nothing, and fits in its heap', async () => {
    await passes(`${head}
      createCache(heap, 64)
      const caches = [heap, open(), open()].map(heap => new SharedCache(heap))
      const set = new Map()
      let hits = 0
      for (let i = 0; i < 20_000; i++) {
        const key = 'key ' + (i * 7919) % 200
        const value = Buffer.alloc((i * 31) % 9000, i)
        const cache = caches[i % 3]
        if (i % 3 === 0) {
          assert.equal(cache.set(key, value), true)
          set.set(key, value)
        } else if (i % 50 === 0) {
          cache.delete(key)
        } else {
          const found = cache.get(key)
          if (found !== undefined) assert.deepEqual(found, set.get(key))
          if (found !== undefined) hits++
        }
      }
      assert.ok(hits > 1000)
      assert.equal(caches[0].set('too large', Buffer.alloc(2 ** 20)), false)
      heap.check()
      // The table, and an entry for each bucket at most.
      assert.ok(heap.stats().blocks <= 65)`)
  })

  test('works for several processes, even if some are killed', async () => {
    await passes(`${head}
      import { spawn } from 'node:child_process'
      import { once } from 'node:events'
      createCache(heap, 256)
      const code = \`
        import { Heap } from 'offheap'
        import { SharedCache } from './shared-cache.js'
        const cache = new SharedCache(Heap.open('shm:\${name}', { shared: true }))
        for (let i = 0; ; i++) {
          const key = 'key ' + Math.floor(Math.random() * 300)
          const found = cache.get(key)
          if (found === undefined) cache.set(key, Buffer.from(key.repeat(1 + Math.random() * 500)))
          else if (found.toString() !== key.repeat(found.length / key.length)) throw new Error(key)
          if (i === 1000) console.log('at work')
        }\`
      const start = async () => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
          cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit']
        })
        await once(child.stdout, 'data')
        return child
      }
      for (let round = 0; round < 2; round++) {
        const children = await Promise.all([start(), start()])
        for (const child of children) {
          const ended = once(child, 'exit')
          child.kill('SIGKILL')
          assert.deepEqual(await ended, [null, 'SIGKILL'])
        }
      }
      heap.check()
      // The table, the entries, and two blocks for each process that was killed.
      assert.ok(heap.stats().blocks <= 1 + 256 + 8)`)
  })

  test('serves a cluster, and survives the death of a worker', async () => {
    await passes(`
      import { spawn } from 'node:child_process'
      import { createServer } from 'node:http'
      import { once } from 'node:events'
      import { readFileSync, rmSync } from 'node:fs'
      const name = 'recipe-cluster-' + process.pid
      // A free port.
      const server = createServer().listen(0)
      await once(server, 'listening')
      const { port } = server.address()
      server.close()
      await once(server, 'close')
      const primary = spawn(process.execPath, ['cluster-server.js', 'shm:' + name], {
        cwd: import.meta.dirname, stdio: 'inherit', env: { ...process.env, PORT: port, WORKERS: 2 }
      })
      const ask = async milliseconds => {
        for (;;) {
          try {
            // A connection that was about to be given to a killed worker is never answered.
            const signal = AbortSignal.timeout(milliseconds)
            const options = { headers: { connection: 'close' }, signal }
            const response = await fetch('http://localhost:' + port + '/page', options)
            return [response.headers.get('x-cache'), await response.text()]
          } catch {
            await new Promise(resolve => setTimeout(resolve, 10))
          }
        }
      }
      const [first, page] = await ask(2 ** 30)
      assert.equal(first, 'miss')
      const { pid } = primary
      const children = readFileSync('/proc/' + pid + '/task/' + pid + '/children', 'utf8')
      const ids = children.trim().split(' ')
      // Whichever of them answered: none that is there knew the page before, but the cache does.
      for (const id of ids) process.kill(Number(id), 'SIGKILL')
      assert.deepEqual(await ask(5000), ['hit', page])
      const ended = once(primary, 'exit')
      primary.kill()
      await ended
      rmSync('/dev/shm/offheap-' + name)`)
  })
})
