import { once } from 'node:events'
import { MessageChannel, Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Region } from '../../lib/memory/region.js'
import { type Compiled, compile } from './compiled.js'
import {
  accessAt,
  collectUntil,
  hasTransfer,
  mappedBytes,
  mappings,
  onLinux,
  residentBytes,
  transfer
} from './maps.js'

const MiB = 2 ** 20
const closedError = expect.objectContaining({ name: 'OffheapError', code: 'ERR_OFFHEAP_CLOSED' })

/** All operations that need the memory. */
function operations(region: Region): (() => unknown)[] {
  return [
    () => region.decommit(0, 4096),
    () => region.protect(0, 4096, 'none'),
    () => region.residentBytes(),
    () => region.faults()
  ]
}

describe('close', () => {
  test('detaches every view', () => {
    const region = Region.map(MiB)
    const { buffer } = region
    const bytes = new Uint8Array(buffer, 100, 50)
    const floats = new Float64Array(buffer)
    bytes[0] = 1
    region.close()
    expect([buffer.byteLength, bytes.length, floats.length]).toEqual([0, 0, 0])
    bytes[0] = 2
    expect(bytes[0]).toBeUndefined()
    expect(region.byteLength).toBe(0)
    expect(region.closed).toBe(true)
  })

  test('can be called twice, and makes operations throw ERR_OFFHEAP_CLOSED', () => {
    const region = Region.map(MiB)
    expect(region.closed).toBe(false)
    region.close()
    region.close()
    region[Symbol.dispose]()
    for (const operation of operations(region)) expect(operation).toThrow(closedError)
  })

  test('is called at the end of a using block', () => {
    let kept: Region
    {
      using region = Region.map(MiB)
      kept = region
      expect(kept.closed).toBe(false)
    }
    expect(kept.closed).toBe(true)
  })
})

describe.runIf(onLinux)('in /proc/self/maps', () => {
  let compiled: Compiled
  beforeAll(() => {
    compiled = compile()
  })
  afterAll(() => compiled.remove())

  test('a region is mapped from map to close, between its guard pages', async () => {
    for (const hugePages of [false, true]) {
      const address = (() => {
        const region = Region.map({ size: 4 * MiB, hugePages })
        const [before, behind] = [region.address - 1n, region.address + BigInt(4 * MiB)]
        expect(mappings()).toContainEqual({ start: region.address, end: behind, access: 'rw-p' })
        expect([accessAt(before), accessAt(behind)]).toEqual(['---p', '---p'])
        region.close()
        return region.address
      })()
      // Its addresses stay reserved until its buffer is collected.
      expect(await collectUntil(() => mappedBytes(address - 1n, 4 * MiB + 2) === 0)).toBe(true)
    }
  })

  test('close returns the memory at once', () => {
    const region = Region.map(64 * MiB)
    new Uint8Array(region.buffer).fill(1)
    const before = residentBytes()
    region.close()
    expect(before - residentBytes()).toBeGreaterThan(60 * MiB)
  })

  test('a region with guard: false has no guard pages', () => {
    const region = Region.map({ size: 64 * MiB, guard: false })
    const [begin, behind] = [region.address, region.address + BigInt(64 * MiB)]
    const page = BigInt(region.pageSize)
    // Other code, such as the C library, has inaccessible mappings too. A guard is one page next to
    // the region.
    const guards = mappings().filter(
      ({ start, end, access }) =>
        access === '---p' && end - start === page && (end === begin || start === behind)
    )
    expect(mappedBytes(region.address, 64 * MiB)).toBe(64 * MiB)
    expect(guards).toEqual([])
    region.close()
  })

  test('a closed region is unmapped only once, even if its addresses are reused', async () => {
    const addresses = (() => {
      const regions = Array.from({ length: 8 }, () => Region.map(64 * MiB))
      for (const region of regions) region.close()
      return regions.map(({ address }) => address)
    })()
    expect(
      await collectUntil(() => addresses.every(address => mappedBytes(address, 64 * MiB) === 0))
    ).toBe(true)
    const later = Array.from({ length: 16 }, () => Region.map(64 * MiB))
    for (const { buffer } of later) new Uint8Array(buffer, 0, MiB).fill(3)
    await collectUntil(() => false, 20)
    for (const region of later) {
      expect(new Uint8Array(region.buffer, 0, MiB).every(byte => byte === 3)).toBe(true)
      region.close()
    }
  })

  test('a region that is not closed is unmapped when it is collected', async () => {
    const address = (() => {
      const region = Region.map(64 * MiB)
      new Uint8Array(region.buffer)[0] = 1
      return region.address
    })()
    expect(mappedBytes(address, 64 * MiB)).toBe(64 * MiB)
    expect(await collectUntil(() => mappedBytes(address, 64 * MiB) === 0)).toBe(true)
  })

  test('a region stays mapped while a view of it is reachable', async () => {
    let bytes: Uint8Array<ArrayBuffer> | undefined
    const address = (() => {
      const region = Region.map(64 * MiB)
      bytes = new Uint8Array(region.buffer, 4096, 4096).fill(5)
      return region.address
    })()
    expect(await collectUntil(() => mappedBytes(address, 64 * MiB) === 0, 20)).toBe(false)
    expect(bytes.every(byte => byte === 5)).toBe(true)
    bytes = undefined
    expect(await collectUntil(() => mappedBytes(address, 64 * MiB) === 0)).toBe(true)
  })

  test('a thousand regions that are closed leave no mappings', async () => {
    const cycle = () => {
      const region = Region.map({ size: 3 * MiB, hugePages: true })
      new Uint8Array(region.buffer)[MiB] = 1
      region.close()
    }
    cycle()
    const before = mappings().length
    for (let count = 0; count < 1000; count++) cycle()
    // V8 itself may add a few mappings meanwhile.
    expect(await collectUntil(() => mappings().length < before + 50)).toBe(true)
  })

  test('a thousand regions that are never closed are collected', async () => {
    const before = mappings().length
    const addresses = Array.from({ length: 1000 }, () => Region.map(MiB).address)
    expect(
      await collectUntil(() => addresses.every(address => mappedBytes(address, MiB) === 0))
    ).toBe(true)
    expect(mappings().length).toBeLessThan(before + 50)
  })

  /** Starts a worker that maps a region, reports its address, and waits. */
  async function workerWith(body: string): Promise<{ worker: Worker; address: bigint }> {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads')
       import(${JSON.stringify(compiled.region)}).then(({ Region }) => {
         ${body}
         parentPort.postMessage(region.address)
         parentPort.once('message', () => process.exit(region.byteLength))
       })`,
      { eval: true }
    )
    const [address] = await once(worker, 'message')
    return { worker, address }
  }

  test('a worker that is terminated leaves no mappings', async () => {
    const { worker, address } = await workerWith(
      `globalThis.region = Region.map(${64 * MiB}); new Uint8Array(region.buffer).fill(1)`
    )
    expect(mappedBytes(address, 64 * MiB)).toBe(64 * MiB)
    await worker.terminate()
    expect(await collectUntil(() => mappedBytes(address, 64 * MiB) === 0)).toBe(true)
  })

  test('a worker that ends leaves no mappings, and unmaps closed regions only once', async () => {
    const { worker, address } = await workerWith(
      `globalThis.region = Region.map(${64 * MiB}); globalThis.second = ` +
        `Region.map(${MiB}); second.close()`
    )
    worker.postMessage('end')
    await once(worker, 'exit')
    expect(await collectUntil(() => mappedBytes(address, 64 * MiB) === 0)).toBe(true)
  })

  test('regions of several workers are independent', async () => {
    const mine = Region.map(MiB)
    const workers = await Promise.all(
      [1, 2, 3].map(value =>
        workerWith(
          `globalThis.region = Region.map(${MiB}); new Uint8Array(region.buffer).fill(${value})`
        )
      )
    )
    expect(new Set([mine.address, ...workers.map(({ address }) => address)]).size).toBe(4)
    await Promise.all(workers.map(({ worker }) => worker.terminate()))
    new Uint8Array(mine.buffer).fill(1)
    expect(mine.residentBytes()).toBe(MiB)
    mine.close()
  })

  test('a process with open regions exits without errors', () => {
    const { status, signal, stderr } = compiled.run(`
      const large = Region.map({ size: 1e7, hugePages: true })
      globalThis.kept = [Region.map(1e6), large, Region.map(1e6)]
      kept[0].close()
      kept[1].protect(0, kept[1].pageSize, 'none')`)
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' })
  })

  describe.runIf(hasTransfer)('after buffer.transfer() (Node 22 and later)', () => {
    test('the region is closed, and the memory belongs to the new buffer', async () => {
      // Native code with the old buffer may use the pages: they stay until both buffers are
      // collected.
      const held = ((): { address: bigint; moved: ArrayBuffer | undefined } => {
        const region = Region.map(64 * MiB)
        new Uint8Array(region.buffer).fill(8)
        const moved = transfer(region.buffer)
        expect(region.closed).toBe(true)
        for (const operation of operations(region)) expect(operation).toThrow(closedError)
        region.close()
        return { address: region.address, moved }
      })()
      expect(mappedBytes(held.address, 64 * MiB)).toBe(64 * MiB)
      expect(await collectUntil(() => mappedBytes(held.address, 64 * MiB) === 0, 20)).toBe(false)
      expect(held.moved && new Uint8Array(held.moved).every(byte => byte === 8)).toBe(true)
      held.moved = undefined
      expect(await collectUntil(() => mappedBytes(held.address, 64 * MiB) === 0)).toBe(true)
    })

    test('with another size, the memory is unmapped once', async () => {
      let region: Region | undefined = Region.map(64 * MiB)
      const { address } = region
      const resized: unknown = Reflect.apply(
        Reflect.get(region.buffer, 'transfer'),
        region.buffer,
        [100]
      )
      expect(resized).toHaveProperty('byteLength', 100)
      region.close()
      region = undefined
      expect(await collectUntil(() => mappedBytes(address, 64 * MiB) === 0)).toBe(true)
    })

    test('several times, the memory is unmapped with the last buffer', async () => {
      const address = (() => {
        const region = Region.map(64 * MiB)
        transfer(transfer(transfer(region.buffer)))
        region.close()
        return region.address
      })()
      expect(await collectUntil(() => mappedBytes(address, 64 * MiB) === 0)).toBe(true)
    })
  })

  // Node throws when such a buffer is transferred to another thread, or copies it (Node 20).
  test.each([
    ['structuredClone', (buffer: ArrayBuffer) => structuredClone(buffer, { transfer: [buffer] })],
    [
      'postMessage',
      (buffer: ArrayBuffer) => {
        const { port1, port2 } = new MessageChannel()
        try {
          port1.postMessage(buffer, [buffer])
        } finally {
          port1.close()
          port2.close()
        }
      }
    ]
  ])('%s with a transfer list leaves the memory with the region', async (_, send) => {
    const address = (() => {
      const region = Region.map(MiB)
      const bytes = new Uint8Array(region.buffer).fill(4)
      try {
        send(region.buffer)
      } catch (error) {
        expect(error).toHaveProperty('name', 'DataCloneError')
      }
      expect(region.closed).toBe(false)
      expect(bytes.every(byte => byte === 4)).toBe(true)
      region.close()
      return region.address
    })()
    expect(await collectUntil(() => mappedBytes(address, MiB) === 0)).toBe(true)
  })
})
