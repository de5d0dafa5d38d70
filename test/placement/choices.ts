/** The choices of each placement, for the slow model of a heap of a given size. */
import type { PlacementName } from '../../lib/index.js'
import { type Choice, type FreeBlock, lowestAddress } from '../model.js'
import { bestFit } from './best-fit.js'
import { nextFit } from './next-fit.js'
import { segregatedFit } from './segregated-fit.js'

const choices: Record<PlacementName, (heapBytes: number) => Choice> = {
  'first-fit': () => lowestAddress,
  'segregated-fit': segregatedFit,
  'best-fit': bestFit,
  'next-fit': nextFit
}

/**
 * The choice of a policy in a heap of `bytes` bytes. A new one for each heap: next fit has a state.
 */
export function choiceOf(placement: PlacementName, bytes: number, hardened = false): Choice {
  return hardened ? hardenedChoice(placement, bytes) : choices[placement](bytes)
}

/**
 * The choice among slots, each of which is four times as large as its block in the ledger of a
 * hardened heap.
 */
function hardenedChoice(placement: PlacementName, bytes: number): Choice {
  const choose = choices[placement](Math.floor(bytes / 32) * 8)
  const small = ({ offset, size, since }: FreeBlock): FreeBlock => ({
    offset: offset / 4,
    size: size / 4,
    since
  })
  const scaled: Choice = (fits, { need, room, free }) => {
    const found = choose(fits.map(small), { need: need / 4, room: room / 4, free: free.map(small) })
    return found && { offset: found.offset * 4, size: found.size * 4 }
  }
  const { order } = choose
  return order === undefined
    ? scaled
    : Object.assign(scaled, { order: (a: FreeBlock, b: FreeBlock) => order(small(a), small(b)) })
}
