/**
 * Replays columns once with every payload filled and compared, outside every timing: a contender that
 * loses bytes, overlaps blocks or misaligns them is not measured.
 */
import type { Subject } from '../contenders/subject.js'
import type { Columns } from '../work/columns.js'
import { ALIGNED, CALLOC, FREE, MALLOC, REALLOC, type Table } from '../work/replay.js'

/** What the verification needs of a contender. */
export type Verifiable<P> = Pick<Subject<P>, 'allocator' | 'none' | 'bytes' | 'alignment' | 'aligns'>

/** Blocks get slices of this, each at its own phase, so that a neighbour's bytes are never right by chance. */
const PERIOD = 251

/** Throws an Error that names the first operation whose result was wrong. */
export function verify<P>(subject: Verifiable<P>, columns: Columns, table: Table<P>): void {
  const { allocator, none } = subject
  const { kinds, slots, sizes, extras } = columns
  const bytesOf = (i: number): number => (kinds[i] === CALLOC ? sizes[i] * extras[i] : sizes[i])
  let largest = 0
  for (let i = 0; i < kinds.length; i++) largest = Math.max(largest, bytesOf(i))
  const master = Buffer.allocUnsafe(largest + PERIOD)
  for (let i = 0; i < master.length; i++) master[i] = 1 + (i % PERIOD)
  const held = new Float64Array(columns.slotCount).fill(-1)

  const pattern = (slot: number, size: number): Buffer => {
    const phase = (slot * 7) % PERIOD
    return master.subarray(phase, phase + size)
  }
  const intact = (slot: number, size: number): boolean => {
    const view = subject.bytes(table[slot], size)
    return view === undefined || pattern(slot, size).equals(view.length > size ? view.subarray(0, size) : view)
  }
  const fail = (i: number, problem: string): never => {
    throw new Error(`${columns.name}, operation ${i}: ${problem}`)
  }

  for (let i = 0; i < kinds.length; i++) {
    const slot = slots[i]
    const before = held[slot]
    if (before > 0 && !intact(slot, before)) fail(i, `the ${before} bytes of the block were overwritten`)
    if (kinds[i] === FREE) {
      allocator.free(table[slot])
      table[slot] = none
      held[slot] = -1
      continue
    }
    const size = bytesOf(i)
    if (kinds[i] === MALLOC) table[slot] = allocator.malloc(size)
    else if (kinds[i] === CALLOC) table[slot] = allocator.calloc(extras[i], sizes[i])
    else if (kinds[i] === ALIGNED) table[slot] = allocator.alignedAlloc(extras[i], size)
    else if (kinds[i] === REALLOC) table[slot] = allocator.realloc(table[slot], size)
    const pointer = table[slot]
    if (pointer === 0 || pointer === undefined) fail(i, `no memory for ${size} bytes`)
    if (typeof pointer === 'number') {
      const alignment = kinds[i] === ALIGNED && subject.aligns ? extras[i] : subject.alignment
      if (pointer % alignment !== 0) fail(i, `pointer ${pointer} is not a multiple of ${alignment}`)
    }
    const view = subject.bytes(pointer, size)
    if (view === undefined) continue
    if (view.length < size) fail(i, `${view.length} bytes instead of ${size}`)
    if (kinds[i] === CALLOC && view.some(byte => byte !== 0)) fail(i, 'calloc left a byte that is not zero')
    if (kinds[i] === REALLOC && !intact(slot, Math.max(0, Math.min(size, before)))) fail(i, 'realloc lost bytes')
    view.set(pattern(slot, size))
    held[slot] = size
  }
  for (let slot = 0; slot < columns.slotCount; slot++) {
    if (held[slot] < 0) continue
    if (!intact(slot, held[slot])) fail(kinds.length, `at the end, the block of slot ${slot} was overwritten`)
    allocator.free(table[slot])
    table[slot] = none
  }
}
