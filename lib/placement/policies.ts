/** The placement policies by name and by number; the first is the default. */
import { invalidType, outOfRange } from '../errors.js'
import { bestFit } from './best-fit.js'
import { firstFit } from './first-fit.js'
import { nextFit } from './next-fit.js'
import type { PlacementName, PlacementPolicy } from './placement.js'
import { segregatedFit } from './segregated-fit.js'

const policies: ReadonlyMap<PlacementName, PlacementPolicy> = new Map([
  ['first-fit', firstFit],
  ['segregated-fit', segregatedFit],
  ['best-fit', bestFit],
  ['next-fit', nextFit]
])

/** The names that `placement` takes. */
export const placements: readonly PlacementName[] = [...policies.keys()]

/** Is this the name of a placement policy? */
export function isPlacement(name: unknown): name is PlacementName {
  return placements.some(known => known === name)
}

/** Returns the policy with this name. Throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE. */
export function policyNamed(name: PlacementName): PlacementPolicy {
  const policy = policies.get(name)
  if (policy !== undefined) return policy
  if (typeof name !== 'string') throw invalidType('placement', 'a string', name)
  throw outOfRange('placement', `one of ${placements.join(', ')}`, name)
}

/** Returns the policy with that number in a heap's header, or undefined. */
export function policyNumbered(number: number): PlacementPolicy | undefined {
  return [...policies.values()].find(policy => policy.number === number)
}
