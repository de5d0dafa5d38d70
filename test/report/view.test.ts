import { describe, expect, it } from 'vitest'
import { SLAB_COLORS } from '../../lib/report/size-classes.js'
import type { Timeline } from '../../lib/report/timeline.js'
import { decodeView } from '../../lib/report/view-data.js'
import { encodeView } from '../../lib/report/view-encode.js'
import { viewPage } from '../../lib/report/view-page.js'
import { viewSvg } from '../../lib/report/view-svg.js'
import { randomTrace, timelineOf, traceOf } from './timelines.js'

/** The same timeline, of an allocator that shows neither blocks nor free list. */
function withoutBlocks(timeline: Timeline): Timeline {
  return { ...timeline, freeList: undefined, wholeBlocks: false, headerBytes: 0, footerBytes: 0 }
}

describe('the data of a page', () => {
  it('is decoded to what was encoded', async () => {
    const trace = randomTrace(3000)
    const known = timelineOf(trace)
    const ends = Float64Array.from(trace.kinds, (_, i) => 2 ** 33 - (i % 7) * 4096)
    const unknown: Timeline = {
      ...known,
      label: 'a student’s',
      freeList: undefined,
      ends,
      low: 4096
    }
    const timelines = [timelineOf(trace, 'segregated-fit', 2 ** 22, true), known, unknown]
    expect(timelines.map(({ slabs }) => slabs !== undefined)).toEqual([true, false, false])
    const back = await decodeView(JSON.parse(JSON.stringify(encodeView({ trace, timelines }))))
    expect(back).toEqual({ trace: { ...trace, notes: undefined }, timelines })
  })

  it('takes a few bytes per operation', () => {
    const trace = randomTrace(5000)
    expect(encodeView({ trace, timelines: [timelineOf(trace)] }).columns.length).toBeLessThan(
      5000 * 24
    )
  })
})

describe('viewPage', () => {
  const trace = traceOf(['a 0 24', 'f 0'], '<b>"quoted" & </script>')
  const page = viewPage({ trace, timelines: [timelineOf(trace)] })

  it('needs no network', () => {
    expect(page).not.toMatch(/\b(?:src|href)=(?!"data:)/)
    expect(page).not.toMatch(/@import|url\(|https?:\/\/(?!www\.w3\.org)/)
    expect(page).toContain("default-src 'none'")
  })

  it('shows a name with markup in it as text', () => {
    expect(page).toContain(
      '<title>&lt;b&gt;&quot;quoted&quot; &amp; &lt;/script&gt;: first-fit</title>'
    )
    expect(page.match(/<\/script>/g)).toHaveLength(2)
  })

  it('explains slabs if there are any', () => {
    const withSlabs = viewPage({
      trace,
      timelines: [timelineOf(trace), timelineOf(trace, 'first-fit', 2 ** 22, true)]
    })
    for (const text of ['used slot', 'free slot', 'room for a slab']) {
      expect(withSlabs).toContain(`</i>${text}</span>`)
      expect(page).not.toContain(`</i>${text}</span>`)
    }
  })

  it.each([
    [true, ['free', 'outside the heap']],
    [false, ['no payload: headers, footers, padding or free', 'outside the heap']]
  ])(
    'names every colour outside the blocks; the allocator describes its heap: %s',
    (shows, keys) => {
      const timeline = timelineOf(trace)
      const text = viewPage({ trace, timelines: [shows ? timeline : withoutBlocks(timeline)] })
      const found = [...text.matchAll(/<\/i>([^<]*)<\/span>/g)].map(([, key]) => key)
      expect(found.filter(key => /free$|heap$/.test(key) && key !== 'heap')).toEqual(keys)
    }
  )

  it('names every control and every canvas', () => {
    for (const [control] of page.matchAll(/<button [^>]*>[^<]*</g))
      expect(control).toMatch(/aria-label="|>[A-Z]/)
    for (const [canvas] of page.matchAll(/<canvas [^>]*>/g))
      expect(canvas).toMatch(/role="img"\saria-label="\w+/)
  })
})

describe('the colours of slabs', () => {
  /** https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
  const contrast = (a: string, b: string): number => {
    const luminance = (color: string) => {
      const [r, g, b] = [1, 3, 5].map(at => {
        const value = Number.parseInt(color.slice(at, at + 2), 16) / 255
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
      })
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y)
    return (high + 0.05) / (low + 0.05)
  }

  it.each(['light', 'dark'] as const)(
    'are different enough for colour-blind readers, in %s',
    scheme => {
      const { slot, slotInk, slotFree, slotLines, granule, granuleLines } = SLAB_COLORS[scheme]
      for (const [a, b] of [
        [slot, slotFree],
        [slot, granule],
        [slotLines, slotFree],
        [granuleLines, granule]
      ]) {
        expect(contrast(a, b), `${a} on ${b}`).toBeGreaterThan(3)
      }
      expect(contrast(slotInk, slot)).toBeGreaterThan(4.5)
    }
  )
})

describe('viewSvg', () => {
  it('draws each block of a short trace from its allocation to its free', () => {
    const trace = traceOf(['a 0 100', 'a 1 200', 'f 0', 'r 1 400'])
    const svg = viewSvg({ trace, timelines: [timelineOf(trace)] })
    const blocks = [
      ...svg.matchAll(
        /<rect class="edged (s\d)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)".*?<title>([^<]*)/g
      )
    ]
    const unit = 874 / 4
    // The realloc is the last operation, so its block exists for no time.
    expect(blocks.map(([, size, x, width]) => [size, Number(x), Number(width)])).toEqual([
      ['s1', 70 + unit, unit * 2],
      ['s2', 70 + unit * 2, unit * 2]
    ])
    expect(blocks[1][4]).toMatch(
      /^operation 2 \(line 2\), malloc of 200 bytes for id 1, at byte [\d,]+$/
    )
  })

  it('stays small for a long trace, and shows used and free memory', () => {
    const lines: string[] = []
    for (let id = 0; id < 12_000; id++) lines.push(`a ${id} 20`)
    for (let id = 0; id < 6000; id++) lines.push(`f ${id}`)
    const trace = traceOf(lines)
    const svg = viewSvg({ trace, timelines: [timelineOf(trace)] })
    expect(svg.length).toBeLessThan(200_000)
    const area = [...svg.matchAll(/h([\d.]+)v([\d.]+)h-/g)].reduce(
      (sum, [, w, h]) => sum + Number(w) * Number(h),
      0
    )
    // A triangle over two thirds of the time, and then the upper half and a shrinking triangle of
    // the lower.
    expect(area / (874 * 300)).toBeCloseTo(1 / 3 + 1 / 6 + 1 / 12, 2)
  })

  /** The heap's outline, and the last entries of the legend, with their classes. */
  const outsideBlocks = (svg: string) => ({
    outlines: [...svg.matchAll(/<path class="(\w+)" d="M/g)].map(([, name]) => name),
    legend: [...svg.matchAll(/<rect class="(\w+) swatch".*?>([^<]+)<\/text>/g)]
      .map(([, name, text]) => `${name}: ${text}`)
      .slice(6)
  })

  it('calls memory free only if the allocator shows its blocks, and names it in the legend', () => {
    const trace = traceOf(['a 0 100', 'a 1 200', 'f 0'])
    const shown = timelineOf(trace)
    const hidden = withoutBlocks(shown)
    const unknown = 'between: no payload: headers, footers, padding or free'
    const svgOf = (...timelines: Timeline[]) => outsideBlocks(viewSvg({ trace, timelines }))
    expect(svgOf(shown)).toEqual({
      outlines: ['free'],
      legend: ['free: free', 'plot: outside the heap']
    })
    expect(svgOf(hidden)).toEqual({
      outlines: ['between'],
      legend: [unknown, 'plot: outside the heap']
    })
    expect(svgOf(hidden, shown)).toEqual({
      outlines: ['between', 'free'],
      legend: ['free: free', unknown, 'plot: outside the heap']
    })
  })

  it('keeps the legend inside the picture', () => {
    const trace = traceOf(['a 0 48'])
    const slabs = timelineOf(trace, 'first-fit', 2 ** 22, true)
    const svg = viewSvg({ trace, timelines: [withoutBlocks(slabs), slabs] })
    const [, height = ''] = /viewBox="0 0 960 (\d+)"/.exec(svg) ?? []
    const tops = [...svg.matchAll(/ swatch" x="(\d+)" y="(\d+)"/g)].map(([, x, y]) => [+x, +y])
    expect(Math.max(...tops.map(([x]) => x))).toBeLessThan(874)
    expect(new Set(tops.map(String)).size).toBe(tops.length)
    expect(Math.max(...tops.map(([, y]) => y)) + 2 * 380 + 12).toBeLessThan(Number(height))
  })

  describe('of a heap with slabs', () => {
    const slotsOf = (svg: string) => [
      ...svg.matchAll(/<rect class="edged (slot|slot-free|granule|s\d)".*?<title>([^<]*)/g)
    ]
    const svgOf = (lines: readonly string[], slabs: boolean) => {
      const trace = traceOf(lines)
      return viewSvg({ trace, timelines: [timelineOf(trace, 'first-fit', 2 ** 22, slabs)] })
    }

    it('draws slabs and room for slabs below used slots, different from other blocks', () => {
      const found = slotsOf(svgOf(['a 0 48', 'a 1 1000', 'f 0', 'f 1'], true))
      const kinds = (kind: string) =>
        found.filter(([, name]) => name === kind).map(([, , title]) => title)
      expect(kinds('slot')).toEqual([
        expect.stringMatching(/^operation 1 \(line 1\), malloc of 48 bytes/)
      ])
      expect(kinds('s3')).toEqual([expect.stringMatching(/malloc of 1000 bytes/)])
      expect(kinds('slot-free')).toEqual([
        expect.stringMatching(/^slab of 10 slots of 48 bytes, at byte [\d,]+$/)
      ])
      // The granule that became the slab was room for one only within the first operation.
      expect(kinds('granule')).toHaveLength(7)
      expect(kinds('granule').at(-1)).toMatch(/^room for a slab, 508 bytes, at byte/)
      expect(found.map(([, name]) => name).lastIndexOf('slot-free')).toBeLessThan(
        found.findIndex(([, name]) => name === 'slot')
      )
    })

    it('explains them in the legend, by hatching and colour', () => {
      const svg = svgOf(['a 0 48'], true)
      for (const text of ['used slots', 'free slots', 'room for slabs'])
        expect(svg).toContain(`>${text}</text>`)
      expect(svg).toContain('<pattern id="slot-free"')
      expect(svg.match(/\.slot-line\{fill:#/g)).toHaveLength(2)
      for (const other of [svgOf(['a 0 48'], false), svgOf(['a 0 4800'], true)]) {
        expect(other).not.toMatch(/slot|granule|pattern/)
      }
    })

    it('shows the used part of slabs on the grid of a long trace', () => {
      const lines: string[] = []
      for (let id = 0; id < 12_000; id++) lines.push(`a ${id} 16`)
      for (let id = 0; id < 6000; id++) lines.push(`f ${id}`)
      const svg = svgOf(lines, true)
      const area = (name: string) => {
        const path = new RegExp(`<path class="${name}" d="([^"]*)"`).exec(svg)?.[1] ?? ''
        return [...path.matchAll(/h([\d.]+)v([\d.]+)h-/g)].reduce(
          (sum, [, w, h]) => sum + Number(w) * Number(h),
          0
        )
      }
      // As above, and of the heap some bytes in front of the first chunk.
      const [used, free] = [area('slot'), area('slot-free')]
      expect(free / (used + free)).toBeCloseTo(1 / 8, 2)
      expect((used + free) / (874 * 300)).toBeCloseTo(2 / 3, 1)
    })
  })

  it('draws two allocators on the same scale', () => {
    const trace = randomTrace(400)
    const timeline = timelineOf(trace)
    const svg = viewSvg({ trace, timelines: [timeline, { ...timeline, label: 'a < b' }] })
    expect(svg).toContain('first-fit: utilization')
    expect(svg).toContain('a &lt; b: utilization')
    const [one, two] = svg.split('<g transform="translate(0 ').slice(1)
    expect(two.match(/<rect class="edged/g)).toHaveLength(
      one.match(/<rect class="edged/g)?.length ?? 0
    )
  })
})
