/** Programs to begin with: each shows one thing that a lecture on heaps talks about. */

import type { PlacementName } from '../placement/placement.js'

export interface Preset {
  readonly name: string
  /** What one should look at. */
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
    about: 'The freed block takes in the one behind it, and its place in the list.',
    calls: `${THREE}.f2.f1`
  },
  {
    name: 'Coalescing 3: left neighbour free',
    about:
      'PREVIOUS_USED is clear, so the footer in front says where the left neighbour ' +
      'begins. It grows; no link changes.',
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
      'The last block touches the wilderness: top falls back, over the free block in front ' +
      'of it too.',
    calls: 'm40.m40.m40.f1.f2'
  },
  {
    name: 'Fragmentation',
    about:
      'Every other block is freed. There are 256 free bytes between the blocks, and no 100 ' +
      'in one place: f comes from the wilderness.',
    calls: 'm60.m60.m60.m60.m60.m60.m60.m60.f0.f2.f4.f6.m100'
  },
  {
    name: 'First fit against best fit',
    about:
      'First fit cuts into the large free block in front, and the last request finds no ' +
      'room between the blocks. Best fit takes the one that fits.',
    calls: 'm200.m16.m64.m16.f0.f2.m60.m200',
    placement: 'first-fit',
    against: 'best-fit'
  },
  {
    name: 'realloc: in place, then elsewhere',
    about:
      'a grows into the free block behind it. Then there is no more room: a is copied, and ' +
      'its old block is freed.',
    calls: 'm24.m100.m8.f1.r0x60.r0x300'
  },
  {
    name: 'A stale pointer',
    about:
      'b is freed twice. The second free finds no used block there, throws, and changes nothing.',
    calls: 'm24.m40.m8.f1.f1'
  },
  {
    name: 'Slabs',
    about:
      'Small requests get slots without headers. A malloc from a slab that has one open is ' +
      'a single store: one bit.',
    calls: 'm40.m40.m40.f1.m40.m100',
    slabs: true,
    size: 65536
  }
]
