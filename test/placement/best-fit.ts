/** Best fit for the slow model, from the specification of the policy. */
import type { Choice, FreeBlock } from '../model.js'

export function bestFit(): Choice {
  const order = (a: FreeBlock, b: FreeBlock): number => a.size - b.size || a.offset - b.offset
  return Object.assign((fits: readonly FreeBlock[]): FreeBlock => [...fits].sort(order)[0], {
    order
  })
}
