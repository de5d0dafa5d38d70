/** Descriptions of blocks and moments, on the page and for screen readers. */

import { humanBytes, humanCount } from '../../sizes.js'
import { describeOperation, type Trace } from '../../trace/trace.js'
import type { Moment } from '../moment.js'
import { type Granule, slotsOf, usedSlotsOf } from '../slab-history.js'
import type { SlabTarget, Subject, Target } from './view.js'

/** The last operation, as a sentence. */
export function describeMoment(trace: Trace, operations: number): string {
  if (operations === 0) return 'Before the first operation.'
  return `After ${describeOperation(trace, operations - 1)}.`
}

/** What the allocator did in the last operation. */
export function describeResult({ history }: Subject, operations: number): string {
  if (operations === 0) return 'The heap is empty.'
  const i = operations - 1
  const pointer = history.timeline.pointers[i]
  const gone = history.ended[i]
  if (pointer === 0)
    return gone === -1 ? 'Nothing changed.' : `Freed ${place(history.timeline.pointers[gone])}.`
  if (gone === -1) return `Returned ${place(pointer)}.`
  const before = history.timeline.pointers[gone]
  return before === pointer
    ? `Stayed at ${place(pointer)}.`
    : `Moved from ${place(before)} to ${place(pointer)}.`
}

/**
 * A block in lines: size, place, the operation that allocated it, age. `operations` is the moment.
 */
export function describeTarget(subject: Subject, target: Target, operations: number): string[] {
  const { offset, size } = subject.extent(target)
  const where = `bytes ${humanCount(offset)} … ${humanCount(offset + size - 1)}`
  if (target.kind === 'free') {
    const { freeOffsets } = subject.now
    if (target.place === -1) {
      const whole = subject.history.timeline.wholeBlocks
      return [
        `${humanCount(size)} bytes ` +
          `${whole ? 'free, in no list' : 'between payloads: headers, footers, padding or free'}`,
        where
      ]
    }
    const next = freeOffsets[target.place + 1]
    return [
      `free block of ${humanCount(size)} bytes`,
      where,
      `number ${humanCount(target.place + 1)} of ${humanCount(freeOffsets.length)} in the ` +
        `free list`,
      next === undefined
        ? 'last in the list'
        : `next in the list: the block at byte ${humanCount(next)}`
    ]
  }
  const moment = subject.momentAt(operations)
  if (target.kind !== 'used') return [...describeInSlab(target, moment), where]
  const { history } = subject
  const { trace, timeline } = history
  const { block } = target
  const birth = history.births[block]
  const death = history.deaths[block]
  const lines = [`${humanCount(history.payload(block))} bytes, id ${trace.idOf[block]}`]
  if (timeline.wholeBlocks) {
    const slack = timeline.slacks[block]
    if (history.isSlot(block)) lines.push(`whole slot ${humanCount(size)} bytes: slack ${slack}`)
    else
      lines.push(
        `whole block ${humanCount(size)} bytes: header ${timeline.headerBytes}, ` +
          (timeline.footerBytes === 0
            ? `slack ${slack}`
            : `slack ${slack - timeline.footerBytes}, footer ${timeline.footerBytes}`)
      )
  }
  const slab = history.slabs.find(offset, operations)
  if (slab !== undefined) lines.push(describeSlab(slab, moment))
  lines.push(where, `allocated by ${describeOperation(trace, birth)}`)
  if (block !== birth) lines.push(`unchanged since ${describeOperation(trace, block)}`)
  lines.push(`age ${count(operations - birth - 1, 'operation')}`)
  if (death === trace.length) lines.push('never freed')
  else lines.push(`until ${describeOperation(trace, death)}`)
  return lines
}

/** A part of a chunk without a block. */
function describeInSlab({ kind, size, granule }: SlabTarget, moment: Moment): string[] {
  const bytes = `${humanCount(size)} bytes`
  if (kind === 'slot') return [`free slot of ${bytes}`, describeSlab(granule, moment)]
  if (kind === 'rest') return [`${bytes} after the last slot`, describeSlab(granule, moment)]
  return [
    kind === 'chunk'
      ? `header of a chunk of slabs, ${bytes}`
      : `${bytes} of a chunk: room for a slab`
  ]
}

function describeSlab(slab: Granule, moment: Moment): string {
  return (
    `in a slab of ${slab.slot}-byte slots, ${usedSlotsOf(slab, moment)} of ${slotsOf(slab)} ` +
    `used`
  )
}

/** All slabs in one line; '' for a heap that never has any. */
export function describeSlabs({ history, now }: Subject): string {
  if (history.slabs.all.length === 0) return ''
  let chunks = 0
  let slabs = 0
  let slots = 0
  let used = 0
  let rooms = 0
  for (const granule of history.slabs.at(now.operations)) {
    if (granule.first) chunks++
    if (granule.slot === 0) rooms++
    else slabs++
    slots += slotsOf(granule)
    used += usedSlotsOf(granule, now)
  }
  if (chunks === 0) return 'There are no slabs.'
  const rest = rooms === 0 ? '' : `, with room for ${humanCount(rooms)} more`
  return (
    `${count(slabs, 'slab')} in ${count(chunks, 'chunk')}${rest}; ${humanCount(used)} of ` +
    `${count(slots, 'slot')} used.`
  )
}

/** The free list in one line. */
export function describeFreeList({ history, now }: Subject): string {
  if (history.timeline.freeList === undefined) {
    return (
      'This allocator shows no free list. Between payloads are headers, footers, ' +
      'padding or free memory; with describe(), it would show which.'
    )
  }
  const { freeOffsets, freeSizes } = now
  if (freeOffsets.length === 0) return 'The free list is empty.'
  const total = freeSizes.reduce((sum, size) => sum + size, 0)
  const largest = freeSizes.reduce((most, size) => Math.max(most, size), 0)
  return (
    `Free list: ${count(freeOffsets.length, 'block')}, ${humanBytes(total)}, the largest ` +
    `${humanBytes(largest)}; it begins at byte ${humanCount(freeOffsets[0])}.`
  )
}

function place(pointer: number): string {
  return `byte ${humanCount(pointer)}`
}

function count(n: number, what: string): string {
  return `${humanCount(n)} ${what}${n === 1 ? '' : 's'}`
}
