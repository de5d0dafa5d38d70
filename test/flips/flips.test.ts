/**
 * Flips single bits of small heaps of every kind: of the header, the index, the block headers,
 * links and footers, the tables of a hardened heap, and free memory. attach() or check() must
 * reject the heap, or all later calls must work. A hardened heap must protect payloads even if
 * check() was not called. No heap may return a pointer outside its memory, or throw an error
 * without a code. Tries a random sample of the bits; all of them with OFFHEAP_RUNS=1000.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Heap, OffheapError } from '../../lib/index.js'
import { Random } from '../faults/random.js'
import { startWatchdog, type Watchdog } from '../hang.js'
import { scaled } from '../runs.js'
import { Battery, type Duty } from './battery.js'
import { kinds } from './kinds.js'
import { type History, Scene } from './scene.js'

const seed = Number(process.env.OFFHEAP_FLIPS_SEED ?? (Math.random() * 2 ** 31) | 0)

let watchdog: Watchdog
beforeAll(() => {
  watchdog = startWatchdog()
  console.log(`OFFHEAP_FLIPS_SEED=${seed}`)
})
afterAll(async () => {
  await watchdog.stop()
})

/** A random sample of the bits, each at most once; as byte × 8 + bit. */
function sample(bytes: readonly number[], count: number, random: Random): number[] {
  const all = bytes.length * 8
  if (count >= all)
    return bytes.flatMap(byte => Array.from({ length: 8 }, (_, bit) => byte * 8 + bit))
  const chosen = new Set<number>()
  while (chosen.size < count) chosen.add(random.of(bytes) * 8 + random.below(8))
  return [...chosen]
}

/** The heap; undefined if attach() or check() rejects it. */
function unlessRefused(verify: () => Heap): Heap | undefined {
  try {
    return verify()
  } catch (error) {
    expect(error).toBeInstanceOf(OffheapError)
    expect(error).toHaveProperty(
      'code',
      expect.stringMatching(/^ERR_OFFHEAP_(CORRUPT|NOT_A_HEAP)$/)
    )
    return undefined
  }
}

function checked(heap: Heap): Heap {
  heap.check()
  return heap
}

/** How many bits of metadata, and of free memory, are flipped after each history. */
const counts: readonly (readonly [History, near: number, far: number])[] = [
  ['new', 8, 1],
  ['packed', 8, 1],
  ['busy', 40, 5]
]

describe.each(kinds.map(kind => [kind.name, kind] as const))('%s', (_, kind) => {
  const isHardened = kind.options.hardened === true

  /** Flips one bit after another, with calls after each. */
  function flipEach(
    prepare: (scene: Scene, flip: () => void) => Heap | undefined,
    duty: Duty
  ): void {
    for (const [history, near, far] of counts) {
      const random = new Random(seed, kind.bytes)
      const scene = new Scene(kind, history, random)
      const bits = [
        ...sample(scene.near, scaled(near), random),
        ...sample(scene.far, scaled(far), random)
      ]
      for (const bit of bits) {
        watchdog.beat()
        const [byte, of] = [Math.floor(bit / 8), bit % 8]
        try {
          const heap = prepare(scene, () => scene.flip(byte, of))
          if (heap !== undefined) new Battery(heap, scene.live, duty, new Random(seed, bit)).run()
        } catch (error) {
          const where =
            `bit ${bit & 31} of word ${bit >> 5} of a ${history} heap ` +
            `(OFFHEAP_FLIPS_SEED=${seed})`
          throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, {
            cause: error
          })
        }
      }
      scene.close()
    }
  }

  test('a heap without a flipped bit works', () => {
    for (const [history] of counts) {
      const scene = new Scene(kind, history, new Random(seed, kind.bytes))
      for (let i = 0; i < 5; i++)
        new Battery(scene.restored(), scene.live, 'sound', new Random(seed, i)).run()
      scene.close()
    }
  })

  test('attach() refuses the heap, or it works', () => {
    flipEach(
      (scene, flip) => {
        scene.restored()
        flip()
        return unlessRefused(() => Heap.attach(scene.memory))
      },
      isHardened ? 'guarded' : 'sound'
    )
  })

  test('check() of an open heap throws, or it works', () => {
    flipEach(
      (scene, flip) => {
        const heap = scene.restored()
        flip()
        return unlessRefused(() => checked(heap))
      },
      isHardened ? 'guarded' : 'sound'
    )
  })

  test(
    isHardened
      ? 'no payload changes without check()'
      : 'no pointer leads out of the heap without check()',
    () => {
      flipEach(
        (scene, flip) => {
          const heap = scene.restored()
          flip()
          return heap
        },
        isHardened ? 'guarded' : 'unverified'
      )
    }
  )
})
