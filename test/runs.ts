/**
 * How often a property is tried. `npm test` tries a tenth of the random sequences, `npm run
 * test:all` all of them. OFFHEAP_RUNS sets another share, such as 0.01 for the mutation tests.
 */
const share = Number(
  process.env.OFFHEAP_RUNS ?? (process.env.OFFHEAP_TESTS === undefined ? 0.1 : 1)
)

/** Returns this run's share of `runs`, rounded; 0 if that is less than a half. */
export function scaled(runs: number): number {
  return Math.round(runs * share)
}
