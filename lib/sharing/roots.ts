/**
 * Named roots: pointers that can be found by name after the memory is opened again. Each has 128
 * bytes in the head.
 *
 *     byte 0    length of the name in bytes, from 1 to 64; 0 when the entry is free
 *          4    the pointer, in units of 8 bytes; 0 is NULL
 *         64    the name, in UTF-8
 *
 * Creating, changing or deleting a root takes effect with one store, the last one. So whenever the
 * process is killed, each root has its old pointer or its new one, or does not exist.
 */
import { corrupt, invalidType, invalidValue, OffheapError } from '../errors.js'
import { ROOT_BYTES, ROOTS } from './superblock.js'

/** The maximum size of a name, in bytes. */
const MOST_BYTES = 64
const WORDS = ROOT_BYTES / 4
const POINTER = 1
const NAME = 16

export class RootTable {
  private readonly words: Int32Array
  private readonly bytes: Uint8Array

  /** `words` must be exactly the words of the named roots. */
  constructor(words: Int32Array) {
    this.words = words
    this.bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
  }

  /**
   * Returns the pointer of a root; undefined when there is no root with that name. Throws
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE.
   */
  get(name: string): number | undefined {
    const entry = this.find(encoded(name))
    return entry < 0 ? undefined : this.pointerAt(entry)
  }

  /** Creates or changes a root. Throws ERR_OFFHEAP_OUT_OF_MEMORY when all entries are in use. */
  set(name: string, pointer: number): void {
    const { words } = this
    const bytes = encoded(name)
    const found = this.find(bytes)
    if (found >= 0) {
      words[found + POINTER] = pointer / 8
      return
    }
    const entry = this.free()
    if (entry < 0) {
      throw new OffheapError(
        'ERR_OFFHEAP_OUT_OF_MEMORY',
        `All ${ROOTS} named roots are in use; delete one of them first`
      )
    }
    words[entry + POINTER] = pointer / 8
    this.bytes.set(bytes, (entry + NAME) * 4)
    words[entry] = bytes.length
  }

  /** Deletes a root, and returns whether there was one. */
  delete(name: string): boolean {
    const entry = this.find(encoded(name))
    if (entry >= 0) this.words[entry] = 0
    return entry >= 0
  }

  /** The names of all roots. */
  keys(): string[] {
    return [...this.entries()].map(entry => Buffer.from(this.nameAt(entry)).toString())
  }

  /** Deletes all roots. */
  clear(): void {
    for (let entry = 0; entry < ROOTS * WORDS; entry += WORDS) this.words[entry] = 0
  }

  /**
   * Verifies roots that another process may have written. Their pointers must be below `end`, in
   * bytes. Throws ERR_OFFHEAP_CORRUPT.
   */
  check(end: number): void {
    const names = new Set<string>()
    for (let entry = 0; entry < ROOTS * WORDS; entry += WORDS) {
      const length = this.words[entry]
      if (length === 0) continue
      const number = entry / WORDS
      if (!(length > 0 && length <= MOST_BYTES))
        throw corrupt(`named root ${number} has a name of ${length} bytes`)
      const name = Buffer.from(this.nameAt(entry))
      if (!name.equals(Buffer.from(name.toString())))
        throw corrupt(`the name of named root ${number} is not UTF-8`)
      if (names.has(name.toString()))
        throw corrupt(`two named roots have the name of named root ${number}`)
      names.add(name.toString())
      if (!(this.pointerAt(entry) < end)) {
        throw corrupt(
          `named root ${number} points to byte ${this.pointerAt(entry)}, which lies ` +
            'outside the heap'
        )
      }
    }
  }

  private pointerAt(entry: number): number {
    return (this.words[entry + POINTER] >>> 0) * 8
  }

  private nameAt(entry: number): Uint8Array {
    const begin = (entry + NAME) * 4
    return this.bytes.subarray(begin, begin + this.words[entry])
  }

  private *entries(): Generator<number, void, undefined> {
    for (let entry = 0; entry < ROOTS * WORDS; entry += WORDS)
      if (this.words[entry] !== 0) yield entry
  }

  private find(name: Uint8Array): number {
    for (const entry of this.entries())
      if (Buffer.compare(this.nameAt(entry), name) === 0) return entry
    return -1
  }

  private free(): number {
    for (let entry = 0; entry < ROOTS * WORDS; entry += WORDS)
      if (this.words[entry] === 0) return entry
    return -1
  }
}

/** Encodes a name in UTF-8. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE. */
function encoded(name: string): Uint8Array {
  if (typeof name !== 'string') throw invalidType('name', 'of type string', name)
  const bytes = Buffer.from(name)
  if (bytes.length < 1 || bytes.length > MOST_BYTES || bytes.toString() !== name) {
    throw invalidValue('name', `must be text of 1 to ${MOST_BYTES} bytes in UTF-8`, name)
  }
  return bytes
}
