/**
 * Native code that still uses a region when it is closed. fs, zlib, crypto, sockets and the thread
 * pool hold an address, and can't be stopped. So the addresses must stay mapped, whatever close,
 * decommit and protect do meanwhile.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compiled, compile } from './compiled.js'
import { hasTransfer, onLinux } from './maps.js'

const MiB = 2 ** 20

/** Defined in every child process. An operation is a function of a view that returns a promise. */
const prelude = `
  import { execFileSync } from 'node:child_process'
  import { createCipheriv, pbkdf2, randomFill, randomFillSync, scrypt, subtle } from 'node:crypto'
  import { once } from 'node:events'
  import { closeSync, mkdtempSync, openSync, read, readFileSync, rmSync, writeSync } from 'node:fs'
  import { open } from 'node:fs/promises'
  import { connect, createServer } from 'node:net'
  import { tmpdir } from 'node:os'
  import { join } from 'node:path'
  import { promisify } from 'node:util'
  import { brotliCompress, createDeflate, deflate, inflate, deflateSync } from 'node:zlib'

  const MiB = 2 ** 20
  const settled = promise => promise.then(() => 'done', error => error.code ?? error.name)
  const readInto = promisify(read)
  async function collect(turns = 20) {
    for (let turn = 0; turn < turns; turn++) {
      globalThis.gc()
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  function mappedBytes(address, size) {
    const end = address + BigInt(size)
    let bytes = 0n
    for (const line of readFileSync('/proc/self/maps', 'utf8').trim().split('\\n')) {
      const [, first, last] = /^(\\w+)-(\\w+)/.exec(line)
      const [from, to] = [BigInt('0x' + first), BigInt('0x' + last)]
      const [low, high] = [from > address ? from : address, to < end ? to : end]
      if (high > low) bytes += high - low
    }
    return Number(bytes)
  }

  const folder = mkdtempSync(join(tmpdir(), 'offheap-test-'))
  process.on('exit', () => rmSync(folder, { recursive: true }))
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  /** Opened for reading and writing, so that neither end waits for the other. */
  const pipe = openSync(fifo, 'r+')

  const compressible = view => {
    for (let i = 0; i < view.length; i++) view[i] = (i * i) >> 7
    return view
  }
  /** Each takes much longer than one iteration of the event loop. */
  const compression = {
    deflate: view => promisify(deflate)(compressible(view), { level: 9 }),
    brotli: view => promisify(brotliCompress)(compressible(view)),
    inflate: view => {
      const packed = deflateSync(Buffer.alloc(view.length, 'abc'))
      view.set(packed)
      return promisify(inflate)(view.subarray(0, packed.length))
    },
    stream: async view => {
      const stream = createDeflate().resume()
      stream.end(compressible(view))
      await once(stream, 'end')
    }
  }
  const operations = {
    random: view => promisify(randomFill)(view),
    password: view => promisify(pbkdf2)(view, view.subarray(0, 100), 5, 100, 'sha512'),
    scrypt: view => promisify(scrypt)(view, 'salt', 64),
    digest: view => subtle.digest('SHA-256', view),
    write: async view => {
      const file = await open(join(folder, 'written'), 'w')
      try { for (let i = 0; i < 4; i++) await file.write(view) } finally { await file.close() }
    },
    send: async view => {
      const server = createServer(socket => setTimeout(() => socket.resume(), 50))
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const socket = connect(server.address().port, '127.0.0.1')
      socket.on('error', () => {})
      const sent = promisify(done => socket.write(view, done))()
      await sent.finally(() => { socket.destroy(); server.close() })
    }
  }
`

describe.runIf(onLinux)('a region that native code is using', () => {
  let compiled: Compiled
  beforeAll(() => {
    compiled = compile('heap')
  })
  afterAll(() => compiled.remove())

  function run(body: string): unknown {
    const { stdout, stderr, status, signal } = compiled.run(prelude + body)
    expect({ stderr, status, signal }).toEqual({ stderr: '', status: 0, signal: null })
    return JSON.parse(stdout)
  }

  const ends = [
    ['close', 'region.close()'],
    ['protect', `region.protect(0, region.byteLength, 'none')`],
    ['decommit', 'region.decommit(0, region.byteLength)'],
    ['protect, then close', `region.protect(0, region.byteLength, 'none'); region.close()`]
  ] as const

  test.each(ends)('survives %s during every kind of operation', (_, end) => {
    const outcomes = run(`
      const outcomes = []
      for (const start of Object.values({ ...operations, ...compression })) {
        const region = Region.map(2 * MiB)
        const outcome = settled(start(new Uint8Array(region.buffer, 4096, MiB)))
        // The operation is now running on another thread.
        await new Promise(resolve => setImmediate(resolve))
        ${end}
        outcomes.push(await outcome)
      }
      console.log(JSON.stringify(outcomes))`)
    // An operation may fail because its bytes have changed, or because a page is protected.
    expect(outcomes).toHaveLength(10)
    for (const outcome of Array.isArray(outcomes) ? outcomes : []) {
      expect(outcome).toMatch(
        /^(done|EFAULT|Z_DATA_ERROR|Z_BUF_ERROR|ERR_.*|OperationError|TypeError)$/
      )
    }
  })

  test('makes zlib fail with ERR_OFFHEAP_CLOSED when its memory of any kind is closed', () => {
    const outcomes = run(`
      const path = join(folder, 'heap')
      const makers = [
        () => Heap.map(4 * MiB),
        () => Heap.map({ size: 4 * MiB, hardened: true }),
        () => Heap.map({ size: 4 * MiB, shared: true }),
        () => Heap.open(path, { size: 4 * MiB, create: true })
      ]
      const outcomes = []
      for (const make of makers) {
        const heap = make()
        const input = heap.alloc(MiB)
        randomFillSync(input)
        const stream = createDeflate()
        stream.end(input)
        // The output is not read, so the stream stops in the middle of its input.
        while (stream.readableLength < stream.readableHighWaterMark)
          await new Promise(resolve => setImmediate(resolve))
        heap.close()
        const outcome = once(stream, 'error')
        stream.resume()
        outcomes.push((await outcome)[0].code)
      }
      console.log(JSON.stringify(outcomes))`)
    expect(outcomes).toEqual(Array.from({ length: 4 }, () => 'ERR_OFFHEAP_CLOSED'))
  })

  test('is guarded from zlib once that is loaded, which no close() does', () => {
    const { stdout, stderr } = compiled.run(`
      const isLoaded = () => process.moduleLoadList.includes('NativeModule zlib')
      const { createDeflate } = await (async () => {
        const before = Heap.map(2 ** 20)
        before.close()
        console.log(isLoaded())
        return import('node:zlib')
      })()
      const heap = Heap.map(2 ** 22)
      const stream = createDeflate()
      stream.end(heap.allocZeroed(2 ** 21))
      while (stream.readableLength === 0 && !stream.readableEnded)
        await new Promise(resolve => setImmediate(resolve))
      const { write } = Object.getPrototypeOf(stream._handle)
      heap.close()
      console.log(isLoaded(), Object.getPrototypeOf(createDeflate()._handle).write === write)
      stream.destroy()`)
    expect({ stdout, stderr }).toEqual({ stdout: 'false\ntrue false\n', stderr: '' })
  })

  test('keeps its addresses during a pending read, and releases them afterwards', () => {
    const told = run(`
      const told = []
      let region = Region.map(64 * MiB)
      const { address, pageSize } = region
      const whole = () => mappedBytes(address, 64 * MiB)
      // Keeps the count only: the result of the read has the view, too.
      const reading = readInto(pipe, new Uint8Array(region.buffer, 5 * pageSize, 1000))
        .then(({ bytesRead }) => bytesRead)
      new Uint8Array(region.buffer).fill(1)
      region.close()
      region = undefined
      await collect()
      told.push(whole())
      const others = Array.from({ length: 20 }, () => Region.map(64 * MiB))
      told.push(others.every(other => other.address !== address))
      const viewOf = other => new Uint8Array(other.buffer, 5 * pageSize, 1000)
      for (const other of others) viewOf(other).fill(3)
      writeSync(pipe, Buffer.alloc(1000, 7))
      told.push(await reading)
      told.push(others.every(other => viewOf(other).every(byte => byte === 3)))
      for (const other of others) other.close()
      for (let turn = 0; turn < 20 && whole() > 0; turn++) await collect()
      told.push(whole())
      closeSync(pipe)
      console.log(JSON.stringify(told))`)
    expect(told).toEqual([64 * MiB, true, 1000, true, 0])
  })

  test('takes no memory during a pending read after close()', () => {
    const resident = run(`
      const region = Region.map(64 * MiB)
      new Uint8Array(region.buffer).fill(1)
      const status = () => readFileSync('/proc/self/status', 'utf8')
      const rss = () => Number(/VmRSS:\\s+(\\d+)/.exec(status())[1]) / 1024
      const reading = readInto(pipe, new Uint8Array(region.buffer, 0, 10))
      const before = rss()
      region.close()
      const after = rss()
      writeSync(pipe, Buffer.alloc(10))
      await reading
      console.log(JSON.stringify(before - after))`)
    expect(resident).toBeGreaterThan(48)
  })

  test('stays mapped for a socket that reads into it after its heap was closed', () => {
    expect(
      run(`
      const heap = Heap.map(4 * MiB)
      const bytes = Buffer.alloc(300_000, 5)
      const server = createServer(socket => setTimeout(() => socket.end(bytes), 20))
      await once(server.listen(0, '127.0.0.1'), 'listening')
      let received = 0
      const callback = count => {
        received += count
        return true
      }
      const onread = { buffer: heap.allocBuffer(65536), callback }
      const socket = connect({ port: server.address().port, host: '127.0.0.1', onread })
      await once(socket, 'connect')
      heap.close()
      await collect(3)
      await once(socket, 'close')
      server.close()
      console.log(JSON.stringify(received))`)
    ).toBe(300_000)
  })

  test.runIf(hasTransfer)(
    'stays mapped for a read after its buffer was transferred and collected (Node 22 and later)',
    () => {
      expect(
        run(`
      const address = (() => {
        const region = Region.map(8 * MiB)
        globalThis.reading = readInto(pipe, new Uint8Array(region.buffer, 4096, 1000))
        region.buffer.transfer()
        return region.address
      })()
      await collect()
      const mapped = mappedBytes(address, 8 * MiB)
      writeSync(pipe, Buffer.alloc(1000))
      const { bytesRead } = await globalThis.reading
      console.log(JSON.stringify([mapped, bytesRead]))`)
      ).toEqual([8 * MiB, 1000])
    }
  )

  test('lets its worker end while the thread pool is using it', () => {
    expect(
      run(
        `
      import { Worker } from 'node:worker_threads'
      for (let round = 0; round < 3; round++) {
        const worker = new Worker(\`
          const { parentPort } = require('node:worker_threads')
          const { randomFill } = require('node:crypto')
          import(${JSON.stringify('REGION')}).then(({ Region }) => {
            const region = Region.map(16 * 2 ** 20)
            const view = new Uint8Array(region.buffer)
            for (let i = 0; i < 4; i++) randomFill(view, () => {})
            region.close()
            parentPort.postMessage('begun')
          })\`.replace('REGION', ${JSON.stringify('REGION_URL')}), { eval: true })
        await once(worker, 'message')
        await worker.terminate()
      }
      console.log(JSON.stringify('quiet'))`.replace('REGION_URL', compiled.region)
      )
    ).toBe('quiet')
  })
})
