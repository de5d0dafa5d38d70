/** The colours of blocks, by a few classes of sizes, in a page and in a still picture. */

import { humanBytes } from '../sizes.js'

/** The largest block of each class, in bytes. */
export const SIZE_CLASSES: readonly number[] = [
  32,
  128,
  512,
  2048,
  16_384,
  Number.POSITIVE_INFINITY
]

/**
 * The light and dark colours of the classes, the smallest blocks first, and a readable colour on
 * them.
 */
export const SIZE_COLORS = {
  light: ['#a5dccb', '#62bfc0', '#3b9bc0', '#3a72b5', '#46499c', '#3c2670'],
  lightInk: ['#0d2b2b', '#06282b', '#03222e', '#ffffff', '#ffffff', '#ffffff'],
  dark: ['#24666a', '#2a8795', '#42a5c8', '#74b9ea', '#a9c6fb', '#e0d9ff'],
  darkInk: ['#f0ffff', '#ffffff', '#041a24', '#05182a', '#0a1430', '#170f33']
} as const

export interface SlabColors {
  readonly slot: string
  readonly slotInk: string
  readonly slotFree: string
  readonly slotLines: string
  readonly granule: string
  readonly granuleLines: string
}

/**
 * Colours of slabs: used slots, free slots, granules that are not slabs. The last two are hatched.
 */
export const SLAB_COLORS = {
  light: {
    slot: '#6c9222',
    slotInk: '#0c1300',
    slotFree: '#eaf2d6',
    slotLines: '#728f33',
    granule: '#f1f1e8',
    granuleLines: '#868970'
  },
  dark: {
    slot: '#a3cf52',
    slotInk: '#131c02',
    slotFree: '#222c14',
    slotLines: '#607f33',
    granule: '#1d1f19',
    granuleLines: '#6a6e5d'
  }
} satisfies Record<string, SlabColors>

/** The class of a block of `bytes` bytes. */
export function sizeClassOf(bytes: number): number {
  let index = 0
  while (bytes > SIZE_CLASSES[index]) index++
  return index
}

/** `up to 32 B`, …, `over 16 KiB`. */
export function sizeClassName(index: number): string {
  const most = SIZE_CLASSES[index]
  return Number.isFinite(most)
    ? `up to ${humanBytes(most)}`
    : `over ${humanBytes(SIZE_CLASSES[index - 1])}`
}
