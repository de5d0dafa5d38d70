/**
 * What a test writes to blocks, and expects there. The bytes of a block come from a tape of random
 * bytes and are determined by one number, the seed, so that they needn't be stored, even for blocks
 * of gigabytes. In a large block, only the ends and a piece in the middle are written.
 *
 * Every byte is even, so that no word of a payload looks like the header of a used block.
 */

const LENGTH = 2 ** 16
/** Blocks up to this many bytes are written in full. */
const WHOLE = 4096
const END = 1024

const tape = Buffer.alloc(LENGTH)
let state = 1
for (let i = 0; i < LENGTH; i++) {
  state = (Math.imul(state, 0x915f77f5) + 0x3c6ef35f) | 0
  tape[i] = (state >>> 16) & 0xfe
}
const zeros = Buffer.alloc(LENGTH)

/** Where a payload of `length` bytes is written: [from, to], all of it when `whole`. */
function* pieces(length: number, whole: boolean): Generator<[number, number], void, undefined> {
  if (whole || length <= WHOLE) {
    yield [0, length]
  } else {
    const middle = Math.floor(length / 2)
    yield [0, END]
    yield [middle - 32, middle + 32]
    yield [length - END, length]
  }
}

/** Writes a payload that begins at byte `pointer`. */
export function write(
  bytes: Uint8Array,
  pointer: number,
  length: number,
  seed: number,
  whole: boolean
): void {
  for (const [from, to] of pieces(length, whole)) {
    for (let at = from; at < to; ) {
      const begin = (seed + at) % LENGTH
      const count = Math.min(to - at, LENGTH - begin)
      bytes.set(tape.subarray(begin, begin + count), pointer + at)
      at += count
    }
  }
}

/**
 * The index of the first byte of a payload that differs from what was written; -1 if none does.
 * `length` is what was written, of which the first `kept` bytes are still there.
 */
export function firstChanged(
  bytes: Uint8Array,
  pointer: number,
  length: number,
  kept: number,
  seed: number,
  whole: boolean
): number {
  for (const [from, end] of pieces(length, whole)) {
    const to = Math.min(end, kept)
    for (let at = from; at < to; ) {
      const begin = (seed + at) % LENGTH
      const count = Math.min(to - at, LENGTH - begin)
      const written = bytes.subarray(pointer + at, pointer + at + count)
      if (Buffer.compare(tape.subarray(begin, begin + count), written) !== 0) {
        while (bytes[pointer + at] === tape[(seed + at) % LENGTH]) at++
        return at
      }
      at += count
    }
  }
  return -1
}

/**
 * The index of the first byte that is not 0 among `length` of them at `pointer`; -1 when all are.
 */
export function firstNotZero(bytes: Uint8Array, pointer: number, length: number): number {
  for (let at = 0; at < length; ) {
    const count = Math.min(length - at, LENGTH)
    const written = bytes.subarray(pointer + at, pointer + at + count)
    if (Buffer.compare(zeros.subarray(0, count), written) !== 0) {
      while (bytes[pointer + at] === 0) at++
      return at
    }
    at += count
  }
  return -1
}

/** Fills unused memory with bytes that often look like headers, links and sizes. */
export function soil(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += LENGTH) {
    bytes.set(tape.subarray(0, Math.min(LENGTH, bytes.length - at)), at)
  }
  for (let at = 0; at < bytes.length; at += 3) bytes[at] |= 1
}
