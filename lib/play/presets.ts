/** Sample programs. Each shows one topic of a lecture on heaps. */

import type { PlacementName } from '../placement/placement.js'

export interface Preset {
  readonly name: string
  /** What the user should look at. */
  readonly about: string
  readonly calls: string
  readonly placement?: PlacementName
  /** The placement of a second heap, which gets the same calls. */
  readonly against?: PlacementName
  readonly slabs?: boolean
  readonly size?: number
}

const THREE = 'm40.m40.m40.m8'

export const PRESETS: readonly Preset[] = [
  {
    name: 'Split and reuse',
    about: 'A block is freed. A smaller request takes its front, and the rest stays free.',
    calls: 'm24.m100.m8.f1.m30'
  },
  {
    name: 'Coalescing 1: both neighbours used',
    about: 'The freed block goes into the free list. Nothing merges.',
    calls: `${THREE}.f1`
  },
  {
    name: 'Coalescing 2: right neighbour free',
    about: 'The freed block absorbs the block after it, and takes its place in the list.',
    calls: `${THREE}.f2.f1`
  },
  {
    name: 'Coalescing 3: left neighbour free',
    about:
      'PREVIOUS_USED is clear, so the footer in front says where the left neighbour ' +
      'begins. The left neighbour grows; no link changes.',
    calls: `${THREE}.f0.f1`
  },
  {
    name: 'Coalescing 4: both neighbours free',
    about: 'Three blocks become one. The right one leaves the list.',
    calls: `${THREE}.f0.f2.f1`
  },
  {
    name: 'Back into the wilderness',
    about:
      'The last block borders on the wilderness, so it becomes part of it. TOP moves down, ' +
      'past the free block in front too.',
    calls: 'm40.m40.m40.f1.f2'
  },
  {
    name: 'Fragmentation',
    about:
      'Every other block is freed. There are 256 free bytes between the blocks, but not 100 ' +
      'in one piece: the last block comes from the wilderness.',
    calls: 'm60.m60.m60.m60.m60.m60.m60.m60.f0.f2.f4.f6.m100'
  },
  {
    name: 'First fit against best fit',
    about:
      'First fit splits the large free block in front, so the last request finds no room ' +
      'between the blocks. Best fit takes the block that fits exactly.',
    calls: 'm200.m16.m64.m16.f0.f2.m60.m200',
    placement: 'first-fit',
    against: 'best-fit'
  },
  {
    name: 'realloc: in place, then elsewhere',
    about:
      'a grows into the free block after it. Then there is no more room: a is copied, and ' +
      'its old block is freed.',
    calls: 'm24.m100.m8.f1.r0x60.r0x300'
  },
  {
    name: 'A stale pointer',
    about: 'b is freed twice. The second free finds no used block, throws, and changes nothing.',
    calls: 'm24.m40.m8.f1.f1'
  },
  {
    name: 'Slabs',
    about:
      'Small requests get slots without headers. Taking a slot from an open slab is a ' +
      'single store: one bit.',
    calls: 'm40.m40.m40.f1.m40.m100',
    slabs: true,
    size: 65536
  }
]
