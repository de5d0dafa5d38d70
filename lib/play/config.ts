/** The configuration of a page: an allocator, a heap, and the initial calls. */

import type { PlacementName } from '../placement/placement.js'

export interface PlayConfig {
  /** The file name of a lab's allocator; undefined for the package's own. */
  readonly submission?: string
  readonly placement: PlacementName
  readonly slabs: boolean
  /** The size of the heap, in bytes. */
  readonly size: number
  /** The initial calls, in the short form of a link. */
  readonly calls: string
  /** The number of calls done when the page opens. Default: all. */
  readonly at?: number
}

/** The heap sizes that the page offers, in bytes. Slabs need one of the last two. */
export const HEAP_SIZES: readonly number[] = [1024, 2048, 4096, 8192, 65_536, 262_144]
export const DEFAULT_SIZE = 4096
