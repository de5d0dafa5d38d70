/** Next fit for the slow model, from the specification of the policy. */
import type { Choice, FreeBlock } from '../model.js'

export function nextFit(): Choice {
  let rover = 0
  return (fits: readonly FreeBlock[]): FreeBlock => {
    const found = fits.find(block => block.offset + block.size > rover) ?? fits[0]
    rover = found.offset
    return found
  }
}
