import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import {
  hasSlabs,
  heapPicture,
  type PictureBlock,
  type PictureSource,
  pictureLegend
} from '../../lib/report/picture.js'

/** A heap of these blocks from byte 128 on (negative: free), followed by some wilderness. */
function heapOf(sizes: readonly number[], wilderness = 1024): PictureSource {
  const top = sizes.reduce((sum, size) => sum + Math.abs(size), 128)
  return {
    stats: () => ({ size: top + wilderness, top, wilderness }),
    *blocks() {
      let offset = 128
      for (const size of sizes) {
        yield { offset, size: Math.abs(size), used: size > 0 }
        offset += Math.abs(size)
      }
    }
  }
}

/** The cells of a picture, all rows in one. */
function cells(picture: string): string {
  return picture
    .split('\n')
    .filter(line => line.includes('│') && !line.includes('wilderness'))
    .map(line => line.slice(line.indexOf('│') + 1))
    .join('')
}

describe('heapPicture', () => {
  it('draws used, free and mixed cells in address order, then the wilderness', () => {
    const picture = heapPicture(heapOf([16, 16, -32, 16, -16, 16]), { width: 60 })
    expect(picture.split('\n')).toEqual([
      '   128 B │██··█·█',
      '   240 B │╌╌╌╌╌╌╌╌ wilderness, 1 KiB',
      '          █ used  ▓▒░ partly  · free  ╌ wilderness  cell = 16 B'
    ])
  })

  it('shades a cell by its used part, and never hides the smallest hole or block', () => {
    // 8 columns of 100 KiB each.
    const kib = 1024
    const shares = [100, 99.9921875, 70, 50, 20, 0.0078125, 0, 100]
    const sizes = shares.flatMap(share =>
      [share * kib, -(100 - share) * kib].filter(size => size !== 0)
    )
    expect(cells(heapPicture(heapOf(sizes), { width: 19, rows: 1 }))).toBe('█▓▓▒░░·█')
  })

  it('shades a partial last cell by its own bytes', () => {
    const picture = cells(heapPicture(heapOf([16, 16, 8]), { width: 60 }))
    expect(picture).toBe('███')
  })

  it('breaks the strip into rows that begin with their address', () => {
    const lines = heapPicture(heapOf([2048, -2048]), { width: 75, rows: 4, legend: false }).split(
      '\n'
    )
    expect(lines).toEqual([
      `   128 B │${'█'.repeat(64)}`,
      `1.13 KiB │${'█'.repeat(64)}`,
      `2.13 KiB │${'·'.repeat(64)}`,
      `3.13 KiB │${'·'.repeat(64)}`,
      '4.13 KiB │╌╌╌╌╌╌╌╌ wilderness, 1 KiB'
    ])
  })

  it('keeps to its width and rows for any heap', () => {
    const blocks = fc.array(
      fc
        .integer({ min: -1000, max: 1000 })
        .map(n => n * 8)
        .filter(n => Math.abs(n) >= 16),
      {
        maxLength: 200
      }
    )
    fc.assert(
      fc.property(
        blocks,
        fc.integer({ min: 40, max: 160 }),
        fc.integer({ min: 1, max: 12 }),
        (sizes, width, rows) => {
          const lines = heapPicture(heapOf(sizes), { width, rows, legend: false }).split('\n')
          expect(lines.length).toBeLessThanOrEqual(rows + 1)
          for (const line of lines) expect(line.length).toBeLessThanOrEqual(width)
        }
      )
    )
  })

  it('has no row of wilderness if the blocks reach the end', () => {
    expect(heapPicture(heapOf([16], 0), { legend: false })).toBe('   128 B │█')
  })

  it('works in ASCII', () => {
    const picture = heapPicture(heapOf([16, -16, 16]), { width: 60, ascii: true })
    expect(picture).toBe(
      '   128 B |#.#\n   176 B |~~~~~~~~ wilderness, 1 KiB\n          # used  %+- partly  ' +
        '. free  ~ wilderness  cell = 16 B'
    )
  })

  it('colours runs of equal cells only on request', () => {
    const heap = heapOf([32, -32, 16])
    const colored = heapPicture(heap, { width: 60, color: true })
    expect(colored).toContain('\u001b[36m██\u001b[39m\u001b[31m··\u001b[39m\u001b[36m█\u001b[39m')
    expect(stripVTControlCharacters(colored)).toBe(heapPicture(heap, { width: 60 }))
  })

  it('draws a real heap, empty and with holes', () => {
    using heap = Heap.map(65_536)
    expect(heapPicture(heap, { legend: false }).split('\n')).toHaveLength(1)
    const pointers = Array.from({ length: 12 }, () => heap.malloc(28))
    for (const i of [2, 3, 7]) heap.free(pointers[i])
    expect(cells(heapPicture(heap))).toBe('████····██████··████████')
  })
})

describe('heapPicture of slabs', () => {
  /**
   * A chunk of two granules at byte 508: a slab whose slots are used as `used` says, then `second`.
   */
  function chunkOf(
    slab: number,
    used: readonly boolean[],
    second: readonly PictureBlock[]
  ): PictureSource {
    const slots = used.map((isUsed, i) => ({
      offset: 512 + i * slab,
      size: slab,
      used: isUsed,
      slab
    }))
    const before = { offset: 476, size: 32, used: true }
    const behind = { offset: 1532, size: 16, used: false }
    return {
      stats: () => ({ size: 4096, top: 1548, wilderness: 4096 - 1548 }),
      blocks: () => [before, ...slots, ...second, behind]
    }
  }
  const granule = { offset: 1024, size: 508, used: false, slab: 0 }
  const yes = (n: number) => Array.from({ length: n }, () => true)
  const no = (n: number) => Array.from({ length: n }, () => false)

  it('distinguishes used and free slots from blocks and from free granules', () => {
    // A cell has 16 bytes, and the first one begins at byte 476: a slot spans two cells.
    const picture = heapPicture(chunkOf(16, [...yes(8), ...no(24)], [granule]), { width: 45 })
    expect(picture.split('\n')).toEqual([
      `   476 B │██${'⣿'.repeat(8)}⣄${'⣀'.repeat(23)}`,
      `   1 KiB │⣀${'□'.repeat(31)}·`,
      '1.51 KiB │╌╌╌╌╌╌╌╌ wilderness, 2.49 KiB',
      '          blocks: █ used  ▓▒░ partly  · free  ╌ wilderness  cell = 16 B',
      '          slots:  ⣿ used  ⣶⣤⣄ partly  ⣀ free  □ room for a slab'
    ])
  })

  it('counts neither the header of a chunk nor the rest of a slab', () => {
    // Three slots of 160 bytes leave 32 bytes over. The block before the chunk, its header, the
    // slab, a granule, a block.
    const whole = cells(heapPicture(chunkOf(160, yes(3), [granule]), { width: 45 }))
    expect(whole).toBe(`██${'⣿'.repeat(31)} □${'□'.repeat(31)}·`)
    // In a cell of 512 bytes, a slab is full when all of its slots are used.
    const cell = { stats: () => ({ size: 4096, top: 4096, wilderness: 0 }) }
    const slots = (n: number) =>
      [...yes(n), ...no(3 - n)].map((used, i) => ({ offset: 160 * i, size: 160, used, slab: 160 }))
    const drawn = [0, 1, 2, 3].map(n =>
      cells(heapPicture({ ...cell, blocks: () => slots(n) }, { width: 19, rows: 1 }))
    )
    expect(drawn.map(text => text[0])).toEqual(['⣀', '⣤', '⣶', '⣿'])
  })

  it('shows the smallest used slot and the smallest free one in a cell of many', () => {
    const slots = (used: readonly boolean[]): PictureSource => ({
      stats: () => ({ size: 8192, top: 4096, wilderness: 0 }),
      blocks: () => used.map((isUsed, i) => ({ offset: 16 * i, size: 16, used: isUsed, slab: 16 }))
    })
    const drawn = (used: readonly boolean[]) =>
      heapPicture(slots(used), { width: 19, rows: 1, legend: false }).slice(-8)
    expect(drawn([true, ...no(255)])).toBe('⣄⣀⣀⣀⣀⣀⣀⣀')
    expect(drawn([false, ...yes(255)])).toBe('⣶⣿⣿⣿⣿⣿⣿⣿')
  })

  it("works in ASCII, and colours don't replace the glyphs", () => {
    const heap = chunkOf(16, [...yes(8), ...no(24)], [granule])
    expect(heapPicture(heap, { width: 45, ascii: true }).split('\n')).toEqual([
      `   476 B |##${'@'.repeat(8)}:${','.repeat(23)}`,
      `   1 KiB |,${'_'.repeat(31)}.`,
      '1.51 KiB |~~~~~~~~ wilderness, 2.49 KiB',
      '          blocks: # used  %+- partly  . free  ~ wilderness  cell = 16 B',
      '          slots:  @ used  Oo: partly  , free  _ room for a slab'
    ])
    const colored = heapPicture(heap, { width: 45, color: true })
    expect(colored).toContain(
      `\u001b[36m██\u001b[39m\u001b[32m${'⣿'.repeat(8)}\u001b[39m\u001b[33m⣄\u001b[39m`
    )
    expect(stripVTControlCharacters(colored)).toBe(heapPicture(heap, { width: 45 }))
  })

  it('draws a real heap', () => {
    using heap = Heap.map({ size: 65_536, slabs: true })
    const pointers = Array.from({ length: 20 }, () => heap.malloc(48))
    for (const i of [3, 4, 5]) heap.free(pointers[i])
    const rows = cells(heapPicture(heap, { width: 200 }))
    expect(rows).toMatch(/^·+▒⣿+⣶⣀+⣄⣿+ ⣿+ *$/)
    expect(hasSlabs(heap)).toBe(true)
  })
})

describe('hasSlabs', () => {
  it('is false for a heap whose slabs were not needed yet', () => {
    using heap = Heap.map({ size: 65_536, slabs: true })
    heap.malloc(1000)
    expect(hasSlabs(heap)).toBe(false)
  })
})

describe('pictureLegend', () => {
  it('is the legend without the size of a cell', () => {
    expect(pictureLegend()).toBe('█ used  ▓▒░ partly  · free  ╌ wilderness')
    expect(pictureLegend({ slabs: true, ascii: true })).toBe(
      'blocks: # used  %+- partly  . free  ~ wilderness\nslots:  @ used  Oo: partly  , ' +
        'free  _ room for a slab'
    )
  })
})
