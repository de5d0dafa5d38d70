/** Random sequences of calls for drive.ts, with sizes at every bound. */
import fc from 'fast-check'

export type Kind =
  | 'malloc'
  | 'calloc'
  | 'realloc'
  | 'aligned'
  | 'free'
  /** The kinds of wrong pointers: a freed one, one into a block. */
  | 'misuse'
  | 'root'
  | 'trim'
  | 'reset'
  /** Another Heap on the same memory; both are used from then on. */
  | 'attach'
  /** A Heap on a copy of the bytes replaces the current one. */
  | 'copy'

/** A size that depends on the state of the heap: `of` plus `bytes`, which may be negative. */
export interface Bound {
  /**
   * - `largest`: largestFree
   * - `heap`: all bytes of the heap
   * - `page`: makes a block from the wilderness end where a page ends - `block`: the usable size of
   *   the block that is reallocated
   */
  readonly of: 'largest' | 'heap' | 'page' | 'block'
  readonly bytes: number
}

export interface Step {
  readonly kind: Kind
  /** Bytes. */
  readonly size: number | Bound
  /**
   * Which of the live blocks, counted modulo their number; below 0 from the end, -1 being the
   * newest.
   */
  readonly which: number
  /** A power of two. */
  readonly alignment: number
}

/** The weight of each kind in sequences of allocations. */
const allocation: [Kind, number][] = [
  ['malloc', 8],
  ['calloc', 1],
  ['realloc', 3],
  ['aligned', 1],
  ['free', 8]
]

/** The weight of each kind in sequences of all calls. */
const everything: [Kind, number][] = [
  ['malloc', 240],
  ['calloc', 40],
  ['realloc', 90],
  ['aligned', 30],
  ['free', 220],
  ['misuse', 20],
  ['root', 8],
  ['trim', 20],
  ['reset', 2],
  ['attach', 6],
  ['copy', 6]
]

function kinds(weights: readonly [Kind, number][]): fc.Arbitrary<Kind> {
  return fc.oneof(...weights.map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) })))
}

const small = fc.integer({ min: 0, max: 64 })
const medium = fc.integer({ min: 0, max: 1024 })

/** Up to a third of a heap of `bytes` bytes. */
function share(bytes: number): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: Math.min(Math.ceil(bytes / 3), 2 ** 19) })
}

/**
 * A few bytes around the first size of a class: no policy has more than 32 classes per power of
 * two.
 */
function classBound(bytes: number): fc.Arbitrary<number> {
  const octave = fc.integer({ min: 3, max: Math.floor(Math.log2(bytes)) })
  const step = fc.integer({ min: 32, max: 63 })
  return fc
    .tuple(octave, step, fc.integer({ min: -20, max: 8 }))
    .map(([power, part, more]) => Math.max(0, Math.floor((2 ** power * part) / 32) + more))
}

const bound: fc.Arbitrary<Bound> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      of: fc.constant('largest' as const),
      bytes: fc.integer({ min: -24, max: 60 })
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      of: fc.constant('heap' as const),
      bytes: fc.integer({ min: -700, max: 9 })
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      of: fc.constant('page' as const),
      bytes: fc.integer({ min: -24, max: 16 })
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      of: fc.constant('block' as const),
      bytes: fc.integer({ min: -24, max: 24 })
    })
  }
)

/** Sequences of allocations for a heap of `bytes` bytes. */
export function steps(bytes: number, length: number): fc.Arbitrary<Step[]> {
  const size = fc.oneof(
    { weight: 6, arbitrary: small },
    { weight: 3, arbitrary: medium },
    { weight: 1, arbitrary: share(bytes) }
  )
  return sequence(single(kinds(allocation), size, fc.integer({ min: 0, max: 13 })), length)
}

/** Sequences of everything that can be done with a heap of `bytes` bytes. */
export function allSteps(bytes: number, length: number): fc.Arbitrary<Step[]> {
  const size: fc.Arbitrary<number | Bound> = fc.oneof(
    { weight: 12, arbitrary: small },
    { weight: 6, arbitrary: medium },
    { weight: 2, arbitrary: share(bytes) },
    { weight: 2, arbitrary: fc.integer({ min: 4096, max: 12_288 }) },
    { weight: 1, arbitrary: classBound(bytes) },
    { weight: 3, arbitrary: bound }
  )
  const power = fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 0, max: 13 }) },
    { weight: 1, arbitrary: fc.integer({ min: 14, max: 34 }) }
  )
  const step = single(kinds(everything), size, power).map(one => [one])
  return sequence(
    fc.oneof({ weight: 60, arbitrary: step }, { weight: 1, arbitrary: comb() }),
    length
  ).map(parts => parts.flat())
}

/**
 * A comb: equal blocks, each at the same distance from a page, with used ones between them; the
 * equal ones are then freed. This makes many free blocks of one class, with pages that begin
 * anywhere in them.
 */
function comb(): fc.Arbitrary<Step[]> {
  const shape = fc.record({
    count: fc.integer({ min: 2, max: 8 }),
    size: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 4096, max: 12_288 })),
    distance: fc.integer({ min: -24, max: 16 }),
    end: fc.constantFrom<Kind>('trim', 'copy', 'malloc')
  })
  return shape.map(({ count, size, distance, end }) => {
    const step = (kind: Kind, bytes: number | Bound, which = 0): Step => ({
      kind,
      size: bytes,
      which,
      alignment: 1
    })
    const steps: Step[] = []
    for (let i = 0; i < count; i++) {
      steps.push(step('malloc', { of: 'page', bytes: distance }), step('malloc', size))
    }
    steps.push(step('malloc', 8))
    for (let i = 0; i < count; i++) steps.push(step('free', 0, -2 - i))
    return [...steps, step(end, size)]
  })
}

function single(
  kind: fc.Arbitrary<Kind>,
  size: fc.Arbitrary<number | Bound>,
  power: fc.Arbitrary<number>
): fc.Arbitrary<Step> {
  return fc.record({ kind, size, which: fc.nat(), alignment: power.map(exponent => 2 ** exponent) })
}

function sequence<Part>(part: fc.Arbitrary<Part>, length: number): fc.Arbitrary<Part[]> {
  return fc.array(part, { minLength: 1, maxLength: length, size: 'max' })
}
