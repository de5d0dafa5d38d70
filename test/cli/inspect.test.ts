import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { offheap } from './terminal.js'

let folder = ''
const at = (name: string): string => join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'offheap-inspect-'))
  const heap = Heap.open(at('closed.heap'), { size: 2 ** 20, create: true, slabs: true })
  const pointers = Array.from({ length: 50 }, (_, i) => heap.malloc(i * 20))
  for (const [i, pointer] of pointers.entries()) if (i % 2 === 0) heap.free(pointer)
  heap.root = pointers[1]
  heap.roots.set('index', pointers[3])
  heap.sync()
  copyFileSync(at('closed.heap'), at('dead.heap'))
  heap.close()
  const bytes = readFileSync(at('closed.heap'))
  bytes.fill(0xff, 65536 + 30_000, 65536 + 200_000)
  writeFileSync(at('corrupt.heap'), bytes)
  writeFileSync(at('other'), 'something else')
  writeFileSync(at('short.heap'), readFileSync(at('closed.heap')).subarray(0, 100_000))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs the command; the file must be the same afterwards. */
async function unchanged(
  name: string,
  ...args: string[]
): Promise<{ code: number; out: string; err: string }> {
  const before = readFileSync(at(name))
  const result = await offheap(['inspect', at(name), ...args])
  expect(readFileSync(at(name)).equals(before)).toBe(true)
  return result
}

describe('offheap inspect', () => {
  test('shows state, statistics, roots, a picture and the check of a closed heap', async () => {
    const { code, out, err } = await unchanged('closed.heap')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/ state +closed, every byte on the disk\n/)
    expect(out).toMatch(/ size +1.0 MiB\n| size +1 MiB\n/)
    expect(out).toMatch(/ used +.* in 25 blocks\n/)
    expect(out).toMatch(/ root "index" +byte \d+\n/)
    expect(out).toMatch(/ check +nothing is wrong\n/)
    expect(out).toMatch(/wilderness/)
  })

  test('shows the result of a recovery of a dead heap', async () => {
    const { code, out } = await unchanged('dead.heap')
    expect(code).toBe(0)
    expect(out).toMatch(/ state +not closed by process \d+; opening it recovers it\n/)
    expect(out).toMatch(/ check +nothing is wrong, once recovered\n/)
  })

  test('distinguishes an open heap from a dead one', async () => {
    using heap = Heap.open(at('open.heap'), { size: 2 ** 18, create: true })
    heap.malloc(100)
    const { code, out } = await unchanged('open.heap', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      state: 'open',
      holder: process.pid,
      stats: { blocks: 1 }
    })
    heap.check()
  })

  test.runIf(process.platform === 'linux')(
    'shows a heap that several threads have open',
    async () => {
      const options = { shared: true, arenas: 2 }
      const one = Heap.open(at('shared.heap'), { size: 2 ** 20, create: true, ...options })
      const two = Heap.open(at('shared.heap'), options)
      for (const heap of [one, two, two]) heap.malloc(1000)
      const open = await unchanged('shared.heap', '--json')
      expect(open.code).toBe(0)
      expect(JSON.parse(open.out)).toMatchObject({
        state: 'open',
        shared: true,
        arenas: 2,
        threads: 2,
        stats: { blocks: 3 }
      })
      const { out } = await unchanged('shared.heap')
      expect(out).toMatch(/ state +open, in 2 threads, last by process \d+:/)
      expect(out).toMatch(/ arenas +2\n/)
      expect((await offheap(['recover', at('shared.heap')])).err).toMatch(/is in use by process/)
      copyFileSync(at('shared.heap'), at('shared-dead.heap'))
      one.check()
      one.close()
      two.close()
      const closed = await unchanged('shared.heap')
      expect(closed.out).toMatch(/ state +closed, every byte on the disk\n/)
      expect(closed.out).toMatch(/ check +nothing is wrong\n/)
      const dead = await unchanged('shared-dead.heap', '--json')
      expect(JSON.parse(dead.out)).toMatchObject({ state: 'dead', threads: 0 })
      const recovered = await offheap(['recover', at('shared-dead.heap')])
      expect(recovered.out).toMatch(/recovered 3 blocks in/)
      expect((await offheap(['recover', at('shared-dead.heap')])).out).toMatch(/was closed/)
    }
  )

  test('prints JSON', async () => {
    const { out } = await unchanged('dead.heap', '--json')
    const report: unknown = JSON.parse(out)
    expect(report).toMatchObject({
      path: at('dead.heap'),
      size: 2 ** 20,
      state: 'dead',
      holder: process.pid,
      generation: 1,
      placement: 'first-fit',
      stats: { blocks: 25 },
      roots: { index: expect.any(Number) }
    })
    expect(report).not.toHaveProperty('picture')
  })

  test('exits with 1, and reports what is wrong', async () => {
    const corrupt = await unchanged('corrupt.heap')
    expect(corrupt.code).toBe(1)
    expect(corrupt.out).toMatch(/ check +The heap is corrupt/)
    for (const [name, message] of [
      ['other', /There is no usable heap in .*other/],
      ['short.heap', /the end of the file is missing/]
    ] as const) {
      const { code, out, err } = await unchanged(name)
      expect({ code, out }).toEqual({ code: 1, out: '' })
      expect(err).toMatch(message)
    }
    const missing = await offheap(['inspect', at('missing')])
    expect(missing.err).toMatch(/ENOENT/)
  })
})

describe('offheap recover', () => {
  test('recovers a dead heap, and closes it', async () => {
    copyFileSync(at('dead.heap'), at('again.heap'))
    const { code, out, err } = await offheap(['recover', at('again.heap')])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/again.heap: recovered 25 blocks in [\d.]+ ms\n/)
    const second = await offheap(['recover', at('again.heap')])
    expect(second.out).toMatch(/was closed; nothing to recover/)
    using heap = Heap.open(at('again.heap'))
    expect(heap.recovered).toBeUndefined()
  })

  test('does not change an open heap', async () => {
    using heap = Heap.open(at('used.heap'), { size: 2 ** 18, create: true })
    const { code, err } = await offheap(['recover', at('used.heap')])
    expect(code).toBe(1)
    expect(err).toMatch(/in use by process/)
    heap.check()
  })

  test('refuses an inconsistent heap', async () => {
    copyFileSync(at('corrupt.heap'), at('bad.heap'))
    const { code, err } = await offheap(['recover', at('bad.heap')])
    expect(code).toBe(1)
    expect(err).toMatch(/corrupt/)
  })
})
