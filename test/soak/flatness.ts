/** What a run reports of each stretch of time, and whether it stays the same. */

/** One stretch of the run. */
export interface Sample {
  /** Seconds since the run began, at its end. */
  readonly seconds: number
  /** Live payload / block space, the mean over the cycles. */
  readonly utilization: number
  /** Nanoseconds for one call of malloc or free: the median of the cycles. */
  readonly nanoseconds: number
  /**
   * The time in memory accesses, which are timed right after the calls; other load slows down both.
   */
  readonly accesses: number
  /** Bytes of the process in physical memory. */
  readonly rss: number
  readonly freeBlocks: number
  readonly operations: number
}

/** A run warms up for this many seconds; from then on, everything must be flat. */
export const WARM_UP = 60
/** The utilization of no stretch may differ from the median of all by more than this. */
export const UTILIZATION_TOLERANCE = 0.02
/**
 * A call of the last third may not cost more accesses to memory, by this part, than one of the
 * first third.
 */
export const TIME_TOLERANCE = 0.25
/** The process may not grow by more than this part of what it had after the warm-up. */
export const RSS_TOLERANCE = 0.1

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[(sorted.length - 1) >> 1] ?? Number.NaN
}

/** What is not flat, in words; empty when all is. */
export function unevenness(samples: readonly Sample[]): string[] {
  const warm = samples.filter(({ seconds }) => seconds > WARM_UP)
  if (warm.length < 2) return []
  const complaints: string[] = []
  const utilization = median(warm.map(sample => sample.utilization))
  for (const sample of warm) {
    const at = `after ${Math.round(sample.seconds)} s`
    if (Math.abs(sample.utilization - utilization) > UTILIZATION_TOLERANCE) {
      complaints.push(
        `${at} utilization was ${percent(sample.utilization)}, the median is ` +
          `${percent(utilization)}`
      )
    }
  }
  const third = Math.ceil(warm.length / 3)
  const before = median(warm.slice(0, third).map(sample => sample.accesses))
  const after = median(warm.slice(-third).map(sample => sample.accesses))
  if (after / before - 1 > TIME_TOLERANCE) {
    complaints.push(
      `a call cost as much as ${before.toFixed(2)} accesses to memory at first, and ` +
        `${after.toFixed(2)} in the end`
    )
  }
  const [first] = warm
  const last = warm[warm.length - 1]
  if (last.rss > first.rss * (1 + RSS_TOLERANCE)) {
    complaints.push(`the process grew from ${mebibytes(first.rss)} to ${mebibytes(last.rss)}`)
  }
  return complaints
}

export function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
