import { describe, expect, it } from 'vitest'
import type { Views } from '../../lib/lab/submission/memory.js'
import { spyOn } from '../../lib/lab/submission/spy.js'

function watchedViews() {
  const buffer = new ArrayBuffer(64)
  const views: Views = {
    u8: new Uint8Array(buffer),
    i8: new Int8Array(buffer),
    u16: new Uint16Array(buffer),
    i16: new Int16Array(buffer),
    u32: new Uint32Array(buffer),
    i32: new Int32Array(buffer),
    f32: new Float32Array(buffer),
    f64: new Float64Array(buffer),
    i64: new BigInt64Array(buffer),
    u64: new BigUint64Array(buffer),
    dataView: new DataView(buffer)
  }
  const seen: unknown[] = []
  const spied = spyOn(views, {
    read: (from, to, bulk) => seen.push(['read', from, to, bulk]),
    write: (from, to, value) => seen.push(['write', from, to, value]),
    noElement: (view, index, writing) => seen.push(['none', view, index, writing]),
    buffer: view => seen.push(['buffer', view])
  })
  return { views, spied, seen }
}

describe('watched views', () => {
  it('report each element read or written, and perform the access', () => {
    const { views, spied, seen } = watchedViews()
    spied.u32[3] = 7
    expect(spied.u32[3]).toBe(7)
    expect(views.u32[3]).toBe(7)
    spied.u64[1] = 5n
    spied.dataView.setUint16(20, 9, true)
    expect(spied.dataView.getUint16(20, true)).toBe(9)
    expect(seen).toEqual([
      ['write', 12, 16, 7],
      ['read', 12, 16, false],
      ['write', 8, 16, 5n],
      ['write', 20, 22, 9],
      ['read', 20, 22, false]
    ])
  })

  it('report indexes without an element', () => {
    const { spied, seen } = watchedViews()
    spied.u32[16] = 1
    spied.u32[1.5] = 1
    void spied.u8[-1]
    void spied.u8[Number.NaN]
    expect(seen).toEqual([
      ['none', 'u32', '16', true],
      ['none', 'u32', '1.5', true],
      ['none', 'u8', '-1', false],
      ['none', 'u8', 'NaN', false]
    ])
  })

  it('report what methods on many elements read and write', () => {
    const { views, spied, seen } = watchedViews()
    views.u8[0] = 42
    spied.u8.copyWithin(32, 0, 8)
    expect(views.u8[32]).toBe(42)
    spied.u32.fill(1, 2, 4)
    spied.u16.set([1, 2, 3], 5)
    spied.u8.set(views.u8.subarray(0, 4), 60)
    expect(spied.u8.slice(0, 2)).toEqual(new Uint8Array([42, 0]))
    expect(spied.u8.length).toBe(64)
    expect(seen).toEqual([
      ['read', 0, 8, true],
      ['write', 32, 40, undefined],
      ['write', 8, 16, undefined],
      ['write', 10, 16, undefined],
      ['read', 0, 4, true],
      ['write', 60, 64, undefined],
      ['read', 0, 2, true]
    ])
  })
})
