/**
 * Strings as bytes. There are three encodings: ASCII, UTF-8, and UTF-16 for strings with a lone
 * surrogate, which UTF-8 can't represent. Each string has exactly one of them, so that equal
 * strings have equal bytes.
 */
import type { Heap } from '../heap/heap.js'

export const ASCII = 0
export const UTF8 = 1
export const UTF16 = 2
/** Not a string: a Uint8Array. */
export const RAW = 3

/**
 * The methods of Buffer behind `toString` and `write`, which parse the name of the encoding in each
 * call.
 */
interface TextBuffer extends Buffer<ArrayBuffer> {
  latin1Slice(start: number, end: number): string
  utf8Slice(start: number, end: number): string
  ucs2Slice(start: number, end: number): string
  latin1Write(text: string, offset: number, length: number): number
  utf8Write(text: string, offset: number, length: number): number
  ucs2Write(text: string, offset: number, length: number): number
}

const METHODS = ['latin1Slice', 'utf8Slice', 'ucs2Slice', 'latin1Write', 'utf8Write', 'ucs2Write']

/**
 * These methods are not documented, though Node has had them for years; another runtime may not
 * have them.
 */
function isTextBuffer(buffer: Buffer<ArrayBuffer>): buffer is TextBuffer {
  return METHODS.every(name => typeof Reflect.get(buffer, name) === 'function')
}

/** A lone surrogate: with the u flag, a surrogate pair is one character. */
const LONE = /\p{Surrogate}/u

/** The encoding of a string that takes `bytes` bytes as UTF-8. */
export function encodingOf(text: string, bytes: number): number {
  if (bytes === text.length) return ASCII
  return LONE.test(text) ? UTF16 : UTF8
}

/**
 * The longest string that is built character by character: for longer ones, a call of the runtime
 * is faster.
 */
const SHORT = 16

/** Reads and writes strings in a piece of memory. Offsets and lengths are in bytes. */
export class Text {
  private readonly buffer: Buffer<ArrayBuffer>
  private readonly fast: TextBuffer | undefined

  constructor(memory: Uint8Array<ArrayBuffer>) {
    this.buffer = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength)
    this.fast = isTextBuffer(this.buffer) ? this.buffer : undefined
  }

  /** For the memory of a heap. */
  static of(heap: Heap): Text {
    return new Text(heap.u8)
  }

  write(text: string, encoding: number, offset: number, bytes: number): void {
    const { fast } = this
    if (bytes === 0) return
    if (fast === undefined) {
      this.buffer.write(
        text,
        offset,
        bytes,
        encoding === ASCII ? 'latin1' : encoding === UTF8 ? 'utf8' : 'utf16le'
      )
    } else if (encoding === ASCII) fast.latin1Write(text, offset, bytes)
    else if (encoding === UTF8) fast.utf8Write(text, offset, bytes)
    else fast.ucs2Write(text, offset, bytes)
  }

  read(encoding: number, offset: number, bytes: number): string {
    const { fast } = this
    const end = offset + bytes
    if (encoding === ASCII && bytes <= SHORT) return this.short(offset, end)
    if (fast === undefined) {
      return this.buffer.toString(
        encoding === ASCII ? 'latin1' : encoding === UTF8 ? 'utf8' : 'utf16le',
        offset,
        end
      )
    }
    if (encoding === ASCII) return fast.latin1Slice(offset, end)
    return encoding === UTF8 ? fast.utf8Slice(offset, end) : fast.ucs2Slice(offset, end)
  }

  private short(offset: number, end: number): string {
    let text = ''
    for (let i = offset; i < end; i++) text += String.fromCharCode(this.buffer[i])
    return text
  }
}
