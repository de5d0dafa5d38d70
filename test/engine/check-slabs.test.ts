/** What check() reports if a word of the slab tables is wrong. */
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { QUIET } from '../../lib/engine/engine.js'
import { ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import { HEADER_WORDS, WITH_SLABS } from '../../lib/layout/header.js'
import {
  CHUNKS,
  CURRENT,
  EMPTY_CHUNKS,
  EMPTY_SLABS,
  ENTRY_INFO,
  ENTRY_SHIFT,
  ENTRY_STARTS,
  FREE,
  FULL,
  GRANULE_BYTES,
  HEADS,
  INFO,
  LAST,
  LISTED,
  NEXT_SHIFT,
  OPEN_CHUNKS,
  RECORD_NEXT,
  RECORD_PREVIOUS,
  RECORD_WORDS,
  slabLayout,
  TAILS
} from '../../lib/layout/slab.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { expectError } from '../heap/support.js'

/** The class of 48 bytes, which is its size step as well. */
const CLASS = 3

/**
 * A heap of 256 KiB whose chunks have four granules: of slots of 48 bytes, two slabs are listed,
 * two are full, one is current, and three granules are free.
 */
function scene() {
  const policy = policyNamed('first-fit')
  const words = new Int32Array(2 ** 16)
  const header = { policy, options: WITH_SLABS, length: words.length }
  writeHeader(words, header, ordinaryLayout(words.length, policy, true), 0, true)
  const heap = new Allocator(words, header, QUIET)
  heap.reset()
  const { state, records, descriptors } = slabLayout(
    words.length,
    HEADER_WORDS + policy.indexWords(words.length)
  )
  const slots = Array.from({ length: 45 }, () => heap.allocate(48))
  heap.free(slots[0])
  heap.free(slots[10])
  heap.check()
  const first = slots[0] / GRANULE_BYTES
  const granules = Array.from({ length: 8 }, (_, i) => descriptors + 2 * (first + i))
  const chunks = [first, first + 4].map(granule => records + (RECORD_WORDS * granule) / 4)
  const info = (granule: number): number => words[granules[granule] + INFO]
  return { words, heap, state, granules, chunks, info, first, descriptors }
}

type Scene = ReturnType<typeof scene>
type Change = (scene: Scene) => [word: number, value: number]

/** The info of a granule with other flags, or other bits. */
const flags =
  (granule: number, value: number): Change =>
  ({ granules, info }) => [granules[granule] + INFO, (info(granule) & 31) | value]
const entry =
  (step: number, word: number, change: number): Change =>
  ({ words, state }) => {
    const at = state + (step << ENTRY_SHIFT) + word
    return [at, words[at] + change]
  }
const state =
  (word: number, change: number): Change =>
  ({ words, state }) => [state + word, words[state + word] + change]

const wrong: [what: string, change: Change, message: RegExp][] = [
  [
    'a free granule with a used slot',
    ({ granules }) => [granules[5], 1],
    /granule at byte GRANULE5: it is not a slab, but has used slots/
  ],
  [
    'no class',
    ({ granules, info }) => [granules[2] + INFO, info(2) & ~15],
    /size class is unknown/
  ],
  [
    'a class too many',
    ({ granules, info }) => [granules[2] + INFO, info(2) + 6],
    /size class is unknown/
  ],
  ['LAST where more granules follow', flags(2, FULL | LAST), /its place in the chunk/],
  [
    'no LAST at the end',
    ({ granules, info }) => [granules[3] + INFO, info(3) & ~LAST],
    /its place in the chunk/
  ],
  [
    'a slot where none begins',
    ({ granules, words }) => [granules[2], words[granules[2]] | 1],
    /used where none begin/
  ],
  ['LISTED, and in no list', flags(2, LISTED), /not in the list where it should be/],
  [
    'FULL, with an open slot',
    ({ granules, words }) => [granules[2], words[granules[2]] << 3],
    /has open slots, but is in no list/
  ],
  ['CURRENT, and another is', flags(2, CURRENT), /it is not the current slab/],
  ['no flag', flags(2, 0), /its state is unknown/],
  ['two flags', flags(2, FULL | LISTED), /its state is unknown/],
  ['three flags', flags(2, FULL | LISTED | CURRENT), /its state is unknown/],
  ['a next of a full slab', flags(2, FULL | (1 << NEXT_SHIFT)), /in no list, but has a next/],
  [
    'a next of the current slab',
    flags(4, CURRENT | (1 << NEXT_SHIFT)),
    /does not describe a current slab/
  ],
  [
    'a slab that is free',
    flags(4, FREE),
    /does not describe a current slab|no slab, but has used slots/
  ],
  ['a slab in a list that is free', flags(0, FREE), /the list of slabs for 48 bytes leads to/],
  ['a slab in a list that is full', flags(0, FULL), /the list of slabs for 48 bytes leads to/],
  [
    'a record with a free granule more',
    ({ chunks }) => [chunks[0], 1 << 31],
    /record disagrees about free granules/
  ],
  [
    'a record with a free granule less',
    ({ chunks }) => [chunks[1], 0x30000000],
    /record disagrees about free granules/
  ],
  ['a chunk more', state(CHUNKS, 1), /there are 2 chunks of slabs, 0 of them empty/],
  ['an empty chunk more', state(EMPTY_CHUNKS, 1), /there are 2 chunks of slabs, 0 of them empty/],
  [
    'an empty slab more',
    state(EMPTY_SLABS, 1),
    /0 slabs in lists are empty, but the tables count 1/
  ],
  [
    'no chunk in the list',
    ({ state }) => [state + OPEN_CHUNKS, 0],
    /the chunk described at byte RECORD1 is in no list/
  ],
  [
    'another chunk in the list',
    ({ state, chunks }) => [state + OPEN_CHUNKS, chunks[0]],
    /list of chunks with free granules leads to byte/
  ],
  [
    'a chunk with a previous',
    ({ chunks }) => [chunks[1] + RECORD_PREVIOUS, chunks[0]],
    /list of chunks with free granules leads to byte/
  ],
  [
    'a chunk behind itself',
    ({ chunks }) => [chunks[1] + RECORD_NEXT, chunks[1]],
    /list of chunks with free granules leads to byte/
  ],
  ['a used slot in no chunk', ({ granules }) => [granules[7] + 2, 1], /it is in no chunk/],
  ['a slab in no chunk', ({ granules }) => [granules[7] + 3, CLASS], /it is in no chunk/],
  [
    'a slab in the header',
    ({ descriptors }) => [descriptors + INFO, CLASS],
    /granule at byte 0: it is in no chunk/
  ],
  [
    'a slab twice in a list',
    ({ granules, first }) => [granules[0] + INFO, CLASS | LISTED | ((first + 1) << NEXT_SHIFT)],
    /in its list twice/
  ],
  [
    'a list that ends elsewhere',
    state(TAILS + CLASS, 1),
    /the last of its list, but the tail is another slab/
  ],
  [
    'an empty list that ends somewhere',
    state(TAILS + 1, 1),
    /the last of its list, but the tail is another slab/
  ],
  [
    'a list that begins in no slab',
    state(HEADS + CLASS, 1000),
    /the list of slabs for 48 bytes leads to/
  ],
  [
    'a list that begins below 0',
    state(HEADS + CLASS, -1000),
    /the list of slabs for 48 bytes leads to/
  ],
  [
    'an entry of another slab',
    entry(CLASS, 0, 2),
    /entry of size step 3, at byte ENTRY3, does not describe a current slab/
  ],
  [
    'an entry with other slots',
    entry(CLASS, ENTRY_STARTS, 1),
    /entry of size step 3, .* does not describe/
  ],
  [
    'an entry with another info',
    entry(CLASS, ENTRY_INFO, 32),
    /entry of size step 3, .* does not describe/
  ],
  ['an entry of no slab', entry(1, 0, 2), /entry of size step 1, .* does not describe/],
  ['slots of no slab', entry(1, ENTRY_STARTS, 1), /entry of size step 1, .* does not describe/],
  ['info of no slab', entry(1, ENTRY_INFO, 1), /entry of size step 1, .* does not describe/],
  [
    'a current slab that has no entry',
    ({ state }) => [state + (CLASS << ENTRY_SHIFT), 0],
    /entry of size step 3/
  ]
]

describe('check() of a heap with slabs finds', () => {
  test.each(wrong)('%s', (_, change, message) => {
    const all = scene()
    const [word, value] = change(all)
    expect(all.words[word]).not.toBe(value)
    all.words[word] = value
    // Names in a message are replaced by byte offsets in this heap.
    const bytes = {
      RECORD0: all.chunks[0] * 4,
      RECORD1: all.chunks[1] * 4,
      ENTRY3: (all.state + (3 << ENTRY_SHIFT)) * 4,
      GRANULE5: (all.first + 5) * GRANULE_BYTES
    }
    const source = Object.entries(bytes).reduce(
      (text, [name, byte]) => text.replace(name, `${byte}`),
      message.source
    )
    expectError(() => all.heap.check(), 'ERR_OFFHEAP_CORRUPT', new RegExp(source))
  })

  test('an empty chunk that is not counted', () => {
    const { words, heap, state } = scene()
    const slots = Array.from({ length: 500 }, () => heap.allocate(160))
    // One of this many chunks is kept empty.
    for (const slot of slots.slice(-60)) heap.free(slot)
    heap.slabs.reclaimFor(100_000)
    heap.check()
    expect(words[state + EMPTY_CHUNKS]).toBe(1)
    words[state + EMPTY_CHUNKS] = 0
    expectError(() => heap.check(), 'ERR_OFFHEAP_CORRUPT', /1 of them empty/)
  })
})
