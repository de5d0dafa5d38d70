/**
 * How often a property is tried. `OFFHEAP_RUNS=0.1` tries a tenth of the random sequences, for commands that run the suite
 * many times (`npm run mutate`).
 */
const share = Number(process.env.OFFHEAP_RUNS ?? 1)

/** Of so many runs, how many this time; 0 where a share of a few expensive ones is less than half of one. */
export function scaled(runs: number): number {
  return Math.round(runs * share)
}
