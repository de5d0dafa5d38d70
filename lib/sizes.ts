/** Formats numbers for people: sizes, counts and shares. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** Bytes with a unit and about three digits: `512 B`, `1.5 KiB`, `64 MiB`. */
export function humanBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${Number(value.toFixed(digits))} ${UNITS[unit]}`
}

/** A count with separated thousands: `317,821`. */
export function humanCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** A share in percent: `93.1 %`. */
export function humanShare(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
