/**
 * Compares everything that a heap reports with the live blocks, and with the model if there is one.
 */
import type { BlockInfo, Heap, HeapStats } from '../../lib/index.js'
import type { Model } from '../model.js'
import { type Live, same } from './live.js'

export function audit(
  heap: Heap<ArrayBufferLike>,
  live: readonly Live[],
  model: Model | undefined
): void {
  const blocks = [...heap.blocks()]
  auditBlocks(blocks, live)
  const stats = heap.stats()
  auditTotals(stats, blocks)
  if (model !== undefined) auditModel(stats, blocks, model)
}

/** Blocks are in address order and don't overlap, and the used ones are the live ones. */
function auditBlocks(blocks: readonly BlockInfo[], live: readonly Live[]): void {
  const expected = [...live].sort((a, b) => a.pointer - b.pointer)
  let end = 0
  let count = 0
  for (const { pointer, offset, size, used } of blocks) {
    if (offset < end)
      throw new Error(`the block at byte ${offset} begins inside the one that ends at ${end}`)
    end = offset + size
    if (!used) continue
    const block = expected[count++]
    if (pointer !== block?.pointer) same('the next used block', pointer, block?.pointer)
    if (pointer < offset || pointer + block.usable > end) {
      throw new Error(
        `${block.usable} bytes at ${pointer} are not in the block of ${size} at byte ${offset}`
      )
    }
  }
  same('the number of used blocks', count, expected.length)
}

/** The statistics add up, and agree with the blocks. */
function auditTotals(stats: HeapStats, blocks: readonly BlockInfo[]): void {
  const counts = { used: 0, quarantined: 0, free: 0 }
  const bytes = { used: 0, quarantined: 0, free: 0 }
  // Bytes outside slots: a chunk that is given back has more bytes than its slots.
  let left = stats.slabs
  for (const { size, used, quarantined, slab } of blocks) {
    const kind = used ? 'used' : quarantined ? 'quarantined' : 'free'
    // A free slot is not a free block.
    if (used || slab === undefined) counts[kind]++
    bytes[kind] += size
    if (slab !== undefined) left -= size
  }
  same('size', stats.size, stats.metadata + stats.used + stats.free)
  same('used', stats.used, bytes.used)
  same('blocks', stats.blocks, counts.used)
  same('quarantined', stats.quarantined, bytes.quarantined)
  same('quarantinedBlocks', stats.quarantinedBlocks, counts.quarantined)
  same('freeBlocks', stats.freeBlocks, counts.free)
  if (stats.peakUsed < stats.used) same('peakUsed', stats.peakUsed, `${stats.used} or more`)
  if (left < 0) same('slabs', stats.slabs, `${stats.slabs - left} or more`)
  if (stats.largestFree > stats.free + left) {
    same('largestFree', stats.largestFree, `${stats.free + left} or less`)
  }
}

/** Each block and each statistic agrees with the model. */
function auditModel(stats: HeapStats, blocks: readonly BlockInfo[], model: Model): void {
  same('the number of blocks', blocks.length, model.blocks.length)
  for (let i = 0; i < blocks.length; i++) {
    const { offset, size, used, quarantined = false } = blocks[i]
    const right = model.blocks[i]
    const isHeld = right.quarantined ?? false
    if (
      offset === right.offset &&
      size === right.size &&
      used === (right.used && !isHeld) &&
      quarantined === isHeld
    )
      continue
    same(`block ${i}`, JSON.stringify(blocks[i]), JSON.stringify(right))
  }
  same('largestFree', stats.largestFree, model.largestFree())
  same('top', stats.top, model.top)
  same('wilderness', stats.wilderness, model.end - model.top)
  same('highWater', stats.highWater, model.highWater)
}
