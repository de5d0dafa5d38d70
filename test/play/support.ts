/** Random programs, and sessions for them. */

import fc from 'fast-check'
import { type Call, makesVariable, type Reference } from '../../lib/play/calls.js'
import { type OwnOptions, openOwn } from '../../lib/play/own.js'
import { pictureOfOwn } from '../../lib/play/own-picture.js'
import type { Instrument } from '../../lib/play/player.js'
import { Session } from '../../lib/play/session.js'

export function ownInstrument(options: OwnOptions): Instrument {
  return { label: options.placement, open: () => openOwn(options), picture: pictureOfOwn }
}

export function ownSession(options: Partial<OwnOptions> = {}, fills = true): Session {
  return new Session(
    ownInstrument({ placement: 'first-fit', slabs: false, size: 4096, ...options }),
    fills
  )
}

/**
 * The random numbers of a call. `programs` turns them into a call that names existing variables
 * only.
 */
const draft = fc.record({
  kind: fc.constantFrom(
    'malloc',
    'malloc',
    'calloc',
    'aligned',
    'realloc',
    'free',
    'free',
    'pointer'
  ),
  size: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 5000 })),
  count: fc.integer({ min: 0, max: 4 }),
  power: fc.integer({ min: 0, max: 9 }),
  pick: fc.nat(1000)
})

/** Programs of up to `most` calls, in which every variable is created before it is used. */
export function programs(most: number): fc.Arbitrary<Call[]> {
  return fc.array(draft, { maxLength: most }).map(drafts => {
    const calls: Call[] = []
    let variables = 0
    for (const { kind, size, count, power, pick } of drafts) {
      const of: Reference =
        variables === 0 || kind === 'pointer'
          ? { pointer: pick % 7 === 0 ? 0 : pick }
          : { variable: pick % variables }
      const call: Call =
        kind === 'malloc'
          ? { kind, size }
          : kind === 'calloc'
            ? { kind, count, size }
            : kind === 'aligned'
              ? { kind, alignment: 2 ** power, size }
              : kind === 'realloc'
                ? { kind, of, size }
                : { kind: 'free', of }
      if (makesVariable(call)) variables++
      calls.push(call)
    }
    return calls
  })
}
