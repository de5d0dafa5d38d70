/** The names of the placement policies. */
import { expect, test } from 'vitest'
import { isPlacement, placements } from '../../lib/placement/policies.js'

test('every policy has a name, and nothing else is one', () => {
  expect(placements).toEqual(['first-fit', 'segregated-fit', 'best-fit', 'next-fit'])
  for (const name of placements) expect(isPlacement(name)).toBe(true)
  for (const other of ['worst-fit', 'First-Fit', '', 0, undefined, null, placements]) {
    expect(isPlacement(other)).toBe(false)
  }
})
