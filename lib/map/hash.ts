/**
 * Hashes of keys, computed over the 32-bit words that a key is packed into.
 *
 * The default mixes each word into two lanes, each with a 32-bit seed, and combines them with
 * MurmurHash3's finalizer. It is fast, and collisions can't be constructed without knowing the
 * seeds, but it is not a cryptographic hash. HalfSipHash-1-3 (https://github.com/veorq/SipHash) is
 * for keys from untrusted sources; a map switches to it by itself when too many keys collide.
 */

/** The kinds of hashes, as numbers in the directory. */
export const MIXED = 0
export const SIPHASH = 1

const C1 = 0xcc9e2d51 | 0
const C2 = 0x1b873593 | 0

/** Mixes a word into the first lane. */
export function mixA(lane: number, word: number): number {
  const mixed = Math.imul(lane ^ word, C1)
  return mixed ^ (mixed >>> 15)
}

/** Mixes a word into the second lane. */
export function mixB(lane: number, word: number): number {
  const mixed = Math.imul((lane + word) | 0, C2)
  return mixed ^ (mixed >>> 13)
}

/** Combines both lanes to a hash of 32 bits, as a signed number. */
export function finish(a: number, b: number): number {
  let h = a ^ ((b << 16) | (b >>> 16))
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** The default hash of `bytes` bytes from word `at` on, the last word padded with zeros. */
export function mixedHash(
  words: Int32Array,
  at: number,
  bytes: number,
  seedA: number,
  seedB: number
): number {
  let a = seedA ^ bytes
  let b = seedB
  for (let i = at, end = at + ((bytes + 3) >> 2); i < end; i++) {
    const word = words[i] | 0
    a = mixA(a, word)
    b = mixB(b, word)
  }
  return finish(a, b)
}

/**
 * HalfSipHash of `bytes` bytes from word `at` on, the last word padded with zeros, with a key of
 * two words.
 */
export function halfSipHash(
  words: Int32Array,
  at: number,
  bytes: number,
  key0: number,
  key1: number,
  rounds = 1,
  lastRounds = 3
): number {
  let v0 = key0
  let v1 = key1
  let v2 = key0 ^ 0x6c796765
  let v3 = key1 ^ 0x74656462
  const whole = bytes >> 2
  for (let i = 0; i <= whole + 1; i++) {
    // The whole words, the last bytes with the length above them, and the end.
    const isEnd = i === whole + 1
    const rest = i === whole && (bytes & 3) !== 0 ? words[at + i] | 0 : 0
    const word = isEnd ? 0 : i < whole ? words[at + i] | 0 : rest | (bytes << 24)
    if (isEnd) v2 ^= 0xff
    v3 ^= word
    for (let round = isEnd ? lastRounds : rounds; round > 0; round--) {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    v0 ^= word
  }
  return v1 ^ v3
}

/** The hash of the given kind. */
export function hashOf(
  words: Int32Array,
  at: number,
  bytes: number,
  kind: number,
  seedA: number,
  seedB: number
): number {
  return kind === SIPHASH
    ? halfSipHash(words, at, bytes, seedA, seedB)
    : mixedHash(words, at, bytes, seedA, seedB)
}
