/** Makes new inputs from old ones. The same seed makes the same inputs. */

/** Random numbers by xorshift: a 32-bit integer from 0 at each call. */
export type Random = () => number

export function randomFrom(seed: number): Random {
  let state = seed | 0 || 0x9e3779b9
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** Words that look like sizes, links, flags and limits. */
const WORDS = [
  0, 1, 2, 3, 4, 8, 13, 16, 32, 64, 255, 256, 1023, 1024, 4096, 0x7fffffff, 0x80000000, 0xffffffff
]
const DIGITS = [
  '0',
  '-1',
  '9',
  '4294967295',
  '9007199254740991',
  '9007199254740992',
  '1e9',
  ' ',
  '\n',
  '#',
  'a',
  'r'
]

type Mutation = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array

const mutations: readonly Mutation[] = [
  (bytes, random) => {
    bytes[random() % bytes.length] ^= 1 << (random() % 8)
    return bytes
  },
  (bytes, random) => {
    bytes[random() % bytes.length] = random()
    return bytes
  },
  (bytes, random) => {
    bytes[random() % bytes.length] += (random() % 33) - 16
    return bytes
  },
  (bytes, random) => writeWord(bytes, random, WORDS[random() % WORDS.length] ?? 0),
  (bytes, random) => writeWord(bytes, random, random() % 2048),
  // A header: twice the size, and flags.
  (bytes, random) => writeWord(bytes, random, (random() % 512) * 4 + (random() % 4)),
  (bytes, random) => {
    const at = random() % bytes.length
    return splice(bytes, at, (random() % 64) + 1, new Uint8Array(0))
  },
  (bytes, random) => {
    const at = random() % bytes.length
    return splice(bytes, at, 0, bytes.subarray(at, at + (random() % 64) + 1))
  },
  (bytes, random, other) => {
    const from = random() % Math.max(1, other.length)
    const piece = other.subarray(from, from + (random() % 256) + 1)
    return splice(bytes, random() % bytes.length, random() % 2 === 0 ? piece.length : 0, piece)
  },
  (bytes, random) => {
    const text = DIGITS[random() % DIGITS.length] ?? ''
    return splice(bytes, random() % bytes.length, random() % 4, Buffer.from(text))
  },
  (bytes, random, other) => splice(bytes, random() % bytes.length, bytes.length, other)
]

function writeWord(bytes: Uint8Array, random: Random, value: number): Uint8Array {
  const words = Math.floor(bytes.length / 4)
  // A heap's words and a program's values are aligned differently: both are hit.
  const at = (random() % Math.max(1, words)) * 4 + (random() % 2) * 2
  for (let i = 0; i < 4 && at + i < bytes.length; i++) bytes[at + i] = value >>> (i * 8)
  return bytes
}

function splice(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]))
}

/**
 * Makes a few changes to a copy of `bytes`, some of them from `other`. Returns 1 to `longest`
 * bytes.
 */
export function mutate(
  bytes: Uint8Array,
  other: Uint8Array,
  longest: number,
  random: Random
): Uint8Array {
  let result = new Uint8Array(bytes)
  const rounds = 1 + (random() % (1 << (random() % 6)))
  for (let i = 0; i < rounds; i++) {
    if (result.length === 0) result = Uint8Array.of(random(), random())
    const mutation = mutations[random() % mutations.length] ?? mutations[0]
    result = new Uint8Array(mutation(result, random, other).subarray(0, longest))
  }
  return result
}
