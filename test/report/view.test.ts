import { describe, expect, it } from 'vitest'
import type { Timeline } from '../../lib/report/timeline.js'
import { decodeView } from '../../lib/report/view-data.js'
import { encodeView } from '../../lib/report/view-encode.js'
import { viewPage } from '../../lib/report/view-page.js'
import { viewSvg } from '../../lib/report/view-svg.js'
import { randomTrace, timelineOf, traceOf } from './timelines.js'

describe('the data of a page', () => {
  it('comes back as it went in', async () => {
    const trace = randomTrace(3000)
    const known = timelineOf(trace)
    const ends = Float64Array.from(trace.kinds, (_, i) => 2 ** 33 - (i % 7) * 4096)
    const unknown: Timeline = { ...known, label: 'a student’s', freeList: undefined, ends, low: 4096 }
    const back = await decodeView(JSON.parse(JSON.stringify(encodeView({ trace, timelines: [known, unknown] }))))
    expect(back).toEqual({ trace: { ...trace, notes: undefined }, timelines: [known, unknown] })
  })

  it('takes a few bytes an operation', () => {
    const trace = randomTrace(5000)
    expect(encodeView({ trace, timelines: [timelineOf(trace)] }).columns.length).toBeLessThan(5000 * 24)
  })
})

describe('viewPage', () => {
  const trace = traceOf(['a 0 24', 'f 0'], '<b>"quoted" & </script>')
  const page = viewPage({ trace, timelines: [timelineOf(trace)] })

  it('needs nothing from anywhere', () => {
    expect(page).not.toMatch(/\b(?:src|href)=(?!"data:)/)
    expect(page).not.toMatch(/@import|url\(|https?:\/\/(?!www\.w3\.org)/)
    expect(page).toContain("default-src 'none'")
  })

  it('holds a name with markup in it as text', () => {
    expect(page).toContain('<title>&lt;b&gt;&quot;quoted&quot; &amp; &lt;/script&gt;: first-fit</title>')
    expect(page.match(/<\/script>/g)).toHaveLength(2)
  })

  it('names every control and every canvas', () => {
    for (const [control] of page.matchAll(/<button [^>]*>[^<]*</g)) expect(control).toMatch(/aria-label="|>[A-Z]/)
    for (const [canvas] of page.matchAll(/<canvas [^>]*>/g)) expect(canvas).toMatch(/role="img" aria-label="\w+/)
  })
})

describe('viewSvg', () => {
  it('draws each block of a short trace from its making to its end', () => {
    const trace = traceOf(['a 0 100', 'a 1 200', 'f 0', 'r 1 400'])
    const svg = viewSvg({ trace, timelines: [timelineOf(trace)] })
    const blocks = [
      ...svg.matchAll(/<rect class="edged (s\d)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)".*?<title>([^<]*)/g)
    ]
    const unit = 874 / 4
    // The realloc comes with the last operation, so its block has no time left to show.
    expect(blocks.map(([, size, x, width]) => [size, Number(x), Number(width)])).toEqual([
      ['s1', 70 + unit, unit * 2],
      ['s2', 70 + unit * 2, unit * 2]
    ])
    expect(blocks[1][4]).toMatch(/^operation 2 \(line 2\), malloc of 200 bytes for id 1, at byte [\d,]+$/)
  })

  it('stays small for a long trace, and shows what is used and what is free', () => {
    const lines: string[] = []
    for (let id = 0; id < 12_000; id++) lines.push(`a ${id} 20`)
    for (let id = 0; id < 6000; id++) lines.push(`f ${id}`)
    const trace = traceOf(lines)
    const svg = viewSvg({ trace, timelines: [timelineOf(trace)] })
    expect(svg.length).toBeLessThan(200_000)
    const area = [...svg.matchAll(/h([\d.]+)v([\d.]+)h-/g)].reduce((sum, [, w, h]) => sum + Number(w) * Number(h), 0)
    // A triangle over two thirds of the time, and then the upper half and a shrinking triangle of the lower.
    expect(area / (874 * 300)).toBeCloseTo(1 / 3 + 1 / 6 + 1 / 12, 2)
  })

  it('puts two allocators on the same scale', () => {
    const trace = randomTrace(400)
    const timeline = timelineOf(trace)
    const svg = viewSvg({ trace, timelines: [timeline, { ...timeline, label: 'a < b' }] })
    expect(svg).toContain('first-fit: utilization')
    expect(svg).toContain('a &lt; b: utilization')
    const [one, two] = svg.split('<g transform="translate(0 ').slice(1)
    expect(two.match(/<rect class="edged/g)).toHaveLength(one.match(/<rect class="edged/g)?.length ?? 0)
  })
})
