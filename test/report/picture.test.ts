import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { heapPicture, type PictureSource, pictureLegend } from '../../lib/report/picture.js'

/** A heap of these blocks from byte 128 on (negative: free), with some wilderness behind them. */
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

  it('shades a cell by the part of it that is used, and never hides the smallest hole or block', () => {
    // 8 columns of 100 KiB each.
    const kib = 1024
    const shares = [100, 99.9921875, 70, 50, 20, 0.0078125, 0, 100]
    const sizes = shares.flatMap(share => [share * kib, -(100 - share) * kib].filter(size => size !== 0))
    expect(cells(heapPicture(heapOf(sizes), { width: 19, rows: 1 }))).toBe('█▓▓▒░░·█')
  })

  it('shades a last cell that is cut short by its own bytes', () => {
    const picture = cells(heapPicture(heapOf([16, 16, 8]), { width: 60 }))
    expect(picture).toBe('███')
  })

  it('cuts the strip into rows that begin with their address', () => {
    const lines = heapPicture(heapOf([2048, -2048]), { width: 75, rows: 4, legend: false }).split('\n')
    expect(lines).toEqual([
      `   128 B │${'█'.repeat(64)}`,
      `1.13 KiB │${'█'.repeat(64)}`,
      `2.13 KiB │${'·'.repeat(64)}`,
      `3.13 KiB │${'·'.repeat(64)}`,
      '4.13 KiB │╌╌╌╌╌╌╌╌ wilderness, 1 KiB'
    ])
  })

  it('keeps to its width and rows, whatever the heap', () => {
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
      fc.property(blocks, fc.integer({ min: 40, max: 160 }), fc.integer({ min: 1, max: 12 }), (sizes, width, rows) => {
        const lines = heapPicture(heapOf(sizes), { width, rows, legend: false }).split('\n')
        expect(lines.length).toBeLessThanOrEqual(rows + 1)
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(width)
      })
    )
  })

  it('has no row of wilderness when the blocks reach the end', () => {
    expect(heapPicture(heapOf([16], 0), { legend: false })).toBe('   128 B │█')
  })

  it('says all of it in ASCII', () => {
    const picture = heapPicture(heapOf([16, -16, 16]), { width: 60, ascii: true })
    expect(picture).toBe(
      '   128 B |#.#\n   176 B |~~~~~~~~ wilderness, 1 KiB\n          # used  %+- partly  . free  ~ wilderness  cell = 16 B'
    )
  })

  it('colours runs of equal cells when asked to, and only then', () => {
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

describe('pictureLegend', () => {
  it('is the legend without the size of a cell', () => {
    expect(pictureLegend()).toBe('█ used  ▓▒░ partly  · free  ╌ wilderness')
  })
})
