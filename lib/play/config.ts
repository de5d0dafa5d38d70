/** What a page is made for: an allocator, a heap, and the calls to begin with. */

import type { PlacementName } from '../placement/placement.js'

export interface PlayConfig {
  /** A lab's allocator by its file name; undefined for the package's own. */
  readonly submission?: string
  readonly placement: PlacementName
  readonly slabs: boolean
  /** Bytes of heap. */
  readonly size: number
  /** The calls to begin with, as a link has them. */
  readonly calls: string
  /** Calls that are done when the page opens; all of them when it is left out. */
  readonly at?: number
}

/** The heap sizes that the page offers, in bytes. Slabs need the larger ones. */
export const HEAP_SIZES: readonly number[] = [1024, 2048, 4096, 8192, 65_536, 262_144]
export const DEFAULT_SIZE = 4096
