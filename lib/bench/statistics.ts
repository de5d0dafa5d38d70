/**
 * Medians, spread and ratios. Ratios are taken within a round, so that whatever slows the machine
 * slows both sides.
 */

/** The value below which `part` of the values lie, interpolated; NaN if there are none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (sorted.length - 1) * part
  const below = Math.floor(at)
  const low = sorted[below] ?? Number.NaN
  const high = sorted[below + 1] ?? low
  return low + (high - low) * (at - below)
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Half the distance between the quartiles, divided by the median. */
export function spread(values: readonly number[]): number {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / median(values)
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(mean(values.map(Math.log)))
}

/** The median over the rounds of ours / theirs in the same round; NaN without rounds. */
export function ratio(ours: readonly number[], theirs: readonly number[]): number {
  const rounds = Math.min(ours.length, theirs.length)
  return median(ours.slice(0, rounds).map((value, round) => value / (theirs[round] ?? Number.NaN)))
}

/** The values of each round minus the floor of their loop. */
export function netOf(values: readonly number[], floor: readonly number[]): number[] {
  return values.map((value, round) => value - (floor[round] ?? Number.NaN))
}

/** Three significant digits, without an exponent. */
export function significant(value: number): string {
  return String(Number(value.toPrecision(3)))
}
