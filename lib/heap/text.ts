/** Strings in a heap: encodings, the length of a string in bytes, reading and writing. */
import { invalidType, invalidValue, outOfRange } from '../errors.js'

/** An encoding of Buffer, or `'cstring'`: UTF-8 followed by a zero byte, as in C. */
export type TextEncoding = BufferEncoding | 'cstring'

/** Throws ERR_INVALID_ARG_TYPE, and ERR_OUT_OF_RANGE for an unknown encoding. */
export function checkEncoding(encoding: TextEncoding): void {
  if (typeof encoding !== 'string') throw invalidType('encoding', 'of type string', encoding)
  if (encoding !== 'cstring' && !Buffer.isEncoding(encoding)) {
    throw outOfRange('encoding', "an encoding of Buffer, such as 'utf8', or 'cstring'", encoding)
  }
}

/**
 * The length of a string in bytes, the zero byte of a C string included. Throws like checkEncoding,
 * and ERR_INVALID_ARG_VALUE for a C string with a zero in it.
 */
export function textLength(text: string, encoding: TextEncoding): number {
  if (typeof text !== 'string') throw invalidType('text', 'of type string', text)
  checkEncoding(encoding)
  if (encoding !== 'cstring') return Buffer.byteLength(text, encoding)
  if (text.includes('\0'))
    throw invalidValue('text', 'has a zero, which would end the C string', text)
  return Buffer.byteLength(text) + 1
}

/**
 * Writes a string to memory with room for it. Returns the number of bytes written. Hexadecimal and
 * base64 strings are written up to the first invalid character.
 */
export function writeText(to: Buffer, text: string, encoding: TextEncoding): number {
  if (encoding !== 'cstring') return to.write(text, encoding)
  const length = to.write(text)
  to[length] = 0
  return length + 1
}

/**
 * Reads the string that fills `from`; a C string ends before its zero byte. Throws ERR_OUT_OF_RANGE
 * if a C string has no zero byte.
 */
export function readText(from: Buffer, encoding: TextEncoding): string {
  if (encoding !== 'cstring') return from.toString(encoding)
  const length = from.indexOf(0)
  if (length < 0)
    throw outOfRange('length', 'enough for a C string with its zero byte', from.length)
  return from.toString('utf8', 0, length)
}
