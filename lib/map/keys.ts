/**
 * The key of a call, packed into words, padded with zeros, and hashed, so that it is compared with
 * the keys of entries word by word, without decoding.
 */
import { types } from 'node:util'
import { invalidType, outOfRange } from '../errors.js'
import { finish, hashOf, mixA, mixB, SIPHASH } from './hash.js'
import { KEY_ENCODING_SHIFT, MOST_KEY_BYTES } from './layout.js'
import { encodingOf, RAW, Text, UTF16 } from './text.js'

/** The type of keys. */
export type MapKey = string | Uint8Array

/** The hash that an index uses: its kind and its seeds. */
export interface Hashing {
  readonly hashKind: number
  readonly seedA: number
  readonly seedB: number
}

/** Strings up to this length are packed character by character. */
const SHORT = 40

/** Room for one key of the largest size, or for a batch of shorter ones. */
const SCRATCH_WORDS = MOST_KEY_BYTES / 2

/** Packs keys into one buffer. A key that is packed at word 0 replaces all previous ones. */
export class Keys {
  readonly words = new Int32Array(SCRATCH_WORDS)
  /** The first word of the last packed key. */
  at = 0
  /**
   * The last packed key: the bits of `kind` that its entry must have, its length in bytes, and its
   * hash.
   */
  kind = 0
  bytes = 0
  hash = 0
  /**
   * Counts packed keys. After a call of the user's code, tells whether a packed key is still there.
   */
  serial = 0
  /** The string that was packed ahead, if its words are still at word 0. */
  private ahead: string | undefined
  private readonly u8 = new Uint8Array(this.words.buffer)
  private readonly text = new Text(this.u8)

  /**
   * Packs a key at word `at`. Throws ERR_INVALID_ARG_TYPE, and ERR_OUT_OF_RANGE for a key of more
   * than 65,536 bytes.
   */
  pack(key: MapKey, hashing: Hashing, at = 0): void {
    this.serial++
    if (this.ahead !== undefined && key === this.ahead && at === 0) {
      this.hash = hashOf(this.words, 0, this.bytes, hashing.hashKind, hashing.seedA, hashing.seedB)
      return
    }
    this.ahead = undefined
    if (typeof key !== 'string') this.packBytes(key, hashing, at)
    else if (hashing.hashKind === SIPHASH || key.length > SHORT) this.packLong(key, hashing, at)
    else this.packShort(key, hashing, at)
  }

  /**
   * Packs a key at word 0 that is about to be packed again with another hash: `pack` then only
   * hashes its words. Throws as `pack` does.
   */
  packAhead(key: MapKey, hashing: Hashing): void {
    this.pack(key, hashing)
    // Others may change the bytes of an array meanwhile.
    if (typeof key === 'string') this.ahead = key
  }

  private packShort(key: string, hashing: Hashing, at: number): void {
    const { length } = key
    const { words } = this
    let seen = 0
    let a = hashing.seedA ^ length
    let b = hashing.seedB
    let word = at
    let i = 0
    for (; i + 3 < length; i += 4) {
      const c0 = key.charCodeAt(i)
      const c1 = key.charCodeAt(i + 1)
      const c2 = key.charCodeAt(i + 2)
      const c3 = key.charCodeAt(i + 3)
      seen |= c0 | c1 | c2 | c3
      const packed = c0 | (c1 << 8) | (c2 << 16) | (c3 << 24)
      words[word++] = packed
      a = mixA(a, packed)
      b = mixB(b, packed)
    }
    if (i < length) {
      let packed = 0
      for (let shift = 0; i < length; i++, shift += 8) {
        const c = key.charCodeAt(i)
        seen |= c
        packed |= c << shift
      }
      words[word] = packed
      a = mixA(a, packed)
      b = mixB(b, packed)
    }
    this.at = at
    this.kind = length
    this.bytes = length
    this.hash = finish(a, b)
    // The key is not ASCII: its characters may take several bytes.
    if (seen > 127) this.packLong(key, hashing, at)
  }

  /** Does a key certainly fit at this word, after the previous keys? */
  hasRoom(key: MapKey, at: number): boolean {
    if (at === 0) return true
    const words =
      typeof key === 'string' ? key.length : types.isUint8Array(key) ? bytesOf(key) : SCRATCH_WORDS
    return at + words < SCRATCH_WORDS
  }

  private packLong(key: string, hashing: Hashing, at: number): void {
    const utf8 = Buffer.byteLength(key)
    const encoding = encodingOf(key, utf8)
    const bytes = encoding === UTF16 ? key.length * 2 : utf8
    checkBytes(bytes)
    this.words[at + (bytes >> 2)] = 0
    this.text.write(key, encoding, at * 4, bytes)
    this.finish(bytes, encoding, hashing, at)
  }

  private packBytes(key: Uint8Array, hashing: Hashing, at: number): void {
    if (!types.isUint8Array(key)) throw invalidType('key', 'a string or a Uint8Array', key)
    const bytes = bytesOf(key)
    checkBytes(bytes)
    this.words[at + (bytes >> 2)] = 0
    this.u8.set(key, at * 4)
    this.finish(bytes, RAW, hashing, at)
  }

  private finish(
    bytes: number,
    encoding: number,
    { hashKind, seedA, seedB }: Hashing,
    at: number
  ): void {
    this.at = at
    this.kind = bytes | (encoding << KEY_ENCODING_SHIFT)
    this.bytes = bytes
    this.hash = hashOf(this.words, at, bytes, hashKind, seedA, seedB)
  }
}

function checkBytes(bytes: number): void {
  if (bytes > MOST_KEY_BYTES) throw outOfRange('key', `at most ${MOST_KEY_BYTES} bytes long`, bytes)
}

const TypedArray: unknown = Object.getPrototypeOf(Uint8Array)
const { get: byteLength } =
  (typeof TypedArray === 'function' &&
    Object.getOwnPropertyDescriptor(TypedArray.prototype, 'byteLength')) ||
  {}

/** The length of an array in bytes, even if a caller has overridden `byteLength`. */
export function bytesOf(array: Uint8Array): number {
  return byteLength === undefined ? array.byteLength : Number(byteLength.call(array))
}

/** Shared by all maps of this thread: only one call at a time packs keys. */
export const keys = new Keys()
