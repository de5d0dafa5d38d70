/**
 * The pattern that a verified replay writes into payloads. Every word depends on the block's seed
 * and on its position in the block, so a byte from another block, or from another position, is
 * detected.
 */

/** One word, and the same word as bytes in the order of this machine. */
const word = new Int32Array(1)
const bytesOfWord = new Uint8Array(word.buffer)

function byteAt(seed: number, index: number): number {
  word[0] = (seed + Math.imul(index >>> 2, 0x9e3779b1)) | 0
  return bytesOfWord[index & 3]
}

const NO_WORDS = new Int32Array(0)

/** A heap's bytes, and the same bytes as words where that is faster. */
export class Payloads {
  readonly #u8: Uint8Array
  /** Empty if the bytes don't begin at a word. */
  readonly #i32: Int32Array

  constructor(u8: Uint8Array) {
    this.#u8 = u8
    this.#i32 =
      u8.byteOffset % 4 === 0
        ? new Int32Array(u8.buffer, u8.byteOffset, Math.floor(u8.length / 4))
        : NO_WORDS
  }

  /** The number of bytes. */
  get length(): number {
    return this.#u8.length
  }

  /** Writes bytes `from` to `to` of the block at `pointer`, a multiple of 4. */
  fill(pointer: number, seed: number, from: number, to: number): void {
    const i32 = this.#i32
    const u8 = this.#u8
    const base = pointer / 4
    const hasWords = i32.length > 0
    const firstWord = hasWords ? Math.ceil(from / 4) : 0
    const lastWord = hasWords ? Math.floor(to / 4) : 0
    for (let i = from; i < to && i < firstWord * 4; i++) u8[pointer + i] = byteAt(seed, i)
    for (let i = firstWord; i < lastWord; i++) i32[base + i] = seed + Math.imul(i, 0x9e3779b1)
    for (let i = Math.max(from, lastWord * 4); i < to; i++) u8[pointer + i] = byteAt(seed, i)
  }

  /**
   * The index of the first of `length` bytes that differs from what `fill` wrote; -1 if none does.
   */
  firstChanged(pointer: number, seed: number, length: number): number {
    const i32 = this.#i32
    const words = this.#wordsOf(length)
    const base = pointer / 4
    let i = 0
    while (i < words && i32[base + i] === ((seed + Math.imul(i, 0x9e3779b1)) | 0)) i++
    for (let j = i * 4; j < length; j++) if (this.#u8[pointer + j] !== byteAt(seed, j)) return j
    return -1
  }

  /** The index of the first of `length` bytes at `pointer` that is not zero; -1 if all are. */
  firstNonZero(pointer: number, length: number): number {
    const i32 = this.#i32
    const words = this.#wordsOf(length)
    const base = pointer / 4
    let i = 0
    while (i < words && i32[base + i] === 0) i++
    for (let j = i * 4; j < length; j++) if (this.#u8[pointer + j] !== 0) return j
    return -1
  }

  /** The number of whole words in `length` bytes of a payload. */
  #wordsOf(length: number): number {
    return this.#i32.length > 0 ? Math.floor(length / 4) : 0
  }

  /** The actual byte `index` of the block at `pointer`. */
  found(pointer: number, index: number): number {
    return this.#u8[pointer + index]
  }
}

/** The expected byte `index` of a block with this seed. */
export function expectedByte(seed: number, index: number): number {
  return byteAt(seed, index)
}
