/** Parses the head of an HTTP request in place: returns positions in the block, not strings. */

const SPACE = 32
const COLON = 58
const CR = 13
const LF = 10

/**
 * Splits the head in `bytes`, a block of a heap, into parts. Each part is two numbers in `parts`,
 * its beginning and its end: method, target, version; then name and value of each header. Returns
 * the count of these numbers, 0 if the head is incomplete. Throws RangeError if it is invalid, or
 * if `parts` is too short.
 */
export function parseHead(bytes, parts) {
  let count = 0
  const add = (begin, end) => {
    if (count + 2 > parts.length) throw new RangeError('Too many headers')
    parts[count++] = begin
    parts[count++] = end
  }
  let line = 0
  for (;;) {
    const end = bytes.indexOf(LF, line)
    if (end === -1) return 0
    const last = bytes[end - 1] === CR ? end - 1 : end
    if (last === line) return count
    if (line === 0) {
      const first = bytes.indexOf(SPACE)
      const second = bytes.indexOf(SPACE, first + 1)
      if (!(first > 0 && second > first && second < last)) throw new RangeError('No request line')
      add(0, first)
      add(first + 1, second)
      add(second + 1, last)
    } else {
      const colon = bytes.indexOf(COLON, line)
      if (!(colon > line && colon < last)) throw new RangeError(`Byte ${line}: no header`)
      add(line, colon)
      let value = colon + 1
      while (bytes[value] === SPACE) value++
      add(value, last)
    }
    line = end + 1
  }
}
