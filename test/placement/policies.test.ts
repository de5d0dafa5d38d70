/** The names of the placement policies. */
import { expect, test } from 'vitest'
import { isPlacement, placements } from '../../lib/placement/policies.js'

test('isPlacement accepts the name of every policy, and nothing else', () => {
  expect(placements).toEqual(['first-fit', 'segregated-fit', 'best-fit', 'next-fit'])
  for (const name of placements) expect(isPlacement(name)).toBe(true)
  for (const other of ['worst-fit', 'First-Fit', '', 0, undefined, null, placements]) {
    expect(isPlacement(other)).toBe(false)
  }
})
