import { afterEach, describe, expect, it } from 'vitest'
import { LabMemory } from '../../lib/lab/submission/memory.js'
import { create as reference } from '../../lib/lab/submission/reference.js'
import { Verifier } from '../../lib/lab/submission/verify.js'
import { readTrace } from '../../lib/trace/read.js'
import { labTrace } from './compiled.js'

let open: LabMemory[] = []
function memory(limit: number): LabMemory {
  const lab = new LabMemory(limit)
  open.push(lab)
  return lab
}
afterEach(() => {
  for (const lab of open) lab.close()
  open = []
})

describe('the memory of a lab', () => {
  it('begins after the NULL page, and grows by sbrk until it is exhausted', () => {
    const lab = memory(10_000)
    const { face } = lab
    expect(face.low).toBe(face.pageSize)
    expect(face.high).toBe(face.low)
    expect(face.sbrk(6000)).toBe(face.low)
    expect(face.sbrk(0)).toBe(face.low + 6000)
    expect(face.sbrk(4001)).toBe(-1)
    expect(lab.refused).toBe(4001)
    expect(face.high).toBe(face.low + 6000)
    expect(face.sbrk(4000)).toBe(face.low + 6000)
    expect(face.high).toBe(face.low + 10_000)
  })

  it('rejects an invalid number of bytes', () => {
    const { face } = memory(10_000)
    expect(() => face.sbrk(-8)).toThrow(
      'The value of "bytes" is out of range. It must be an integer, 0 or more. Received -8'
    )
    expect(() => face.sbrk(1.5)).toThrow(RangeError)
    expect(() => face.sbrk(Number.NaN)).toThrow(RangeError)
    expect(face.high).toBe(face.low)
  })

  it('shows the same bytes in every view, and zeroed new bytes, guarded or not', () => {
    const lab = memory(10_000)
    lab.guard()
    const { face } = lab
    const at = face.sbrk(100)
    expect([...face.u8.subarray(at, at + 100)].every(byte => byte === 0)).toBe(true)
    face.u32[at / 4] = 0x01020304
    expect(face.dataView.getUint32(at, true)).toBe(0x01020304)
    expect(face.u16[at / 2]).toBe(0x0304)
    face.sbrk(100)
    expect([...face.u8.subarray(at + 100, at + 200)].every(byte => byte === 0)).toBe(true)
  })

  it('finds the first byte written beyond either end', () => {
    const lab = memory(10_000)
    lab.guard()
    const { face } = lab
    face.sbrk(100)
    face.u8.fill(1, face.low, face.high)
    expect(lab.breach()).toBeUndefined()
    face.u8[face.high + 3] = 1
    expect(lab.breach()).toEqual({ at: face.high + 3, found: 1 })
    face.u8[face.low - 1] = 2
    expect(lab.breach()).toEqual({ at: face.low - 1, found: 2 })
  })

  it('is as good as new after clear()', () => {
    const lab = memory(10_000)
    lab.guard()
    const at = lab.face.sbrk(100)
    lab.face.u8.fill(1, at, at + 100)
    lab.clear()
    expect(lab.face.high).toBe(lab.face.low)
    expect(lab.face.sbrk(200)).toBe(at)
    expect(lab.face.u8.subarray(at, at + 200).some(byte => byte !== 0)).toBe(false)
  })
})

describe('the reference allocator', () => {
  it.each(['hello', 'random', 'buffers', 'grow', 'sqlite'])('is valid on %s', async name => {
    const trace = await readTrace(labTrace(name))
    const lab = memory(2 ** 26)
    const thrown = () => expect.fail('it threw')
    const settings = { alignment: 8, checkInterval: 100, thrown, watch: -1, needsCalloc: false }
    const verifier = new Verifier(trace, lab, reference(lab.face), settings)
    lab.guard()
    for (let i = 0; i < trace.length; i++) verifier.step(i)
    verifier.checkAll()
    expect(verifier.peakPayload).toBeGreaterThan(100)
  })
})
