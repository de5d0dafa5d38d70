/**
 * Text in a heap: which encodings there are, how many bytes a text takes, and how it is written and
 * read.
 */
import { invalidType, invalidValue, outOfRange } from '../errors.js'

/**
 * How text is written: an encoding of Buffer, or `'cstring'`, which is UTF-8 with a zero byte
 * behind it, as C has it.
 */
export type TextEncoding = BufferEncoding | 'cstring'

/** Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE for an encoding that there isn't. */
export function checkEncoding(encoding: TextEncoding): void {
  if (typeof encoding !== 'string') throw invalidType('encoding', 'of type string', encoding)
  if (encoding !== 'cstring' && !Buffer.isEncoding(encoding)) {
    throw outOfRange('encoding', "an encoding of Buffer, such as 'utf8', or 'cstring'", encoding)
  }
}

/**
 * The bytes that a text takes, its zero byte included.
 * Throws as checkEncoding does, and ERR_INVALID_ARG_VALUE for a C string with a zero in it.
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
 * Writes a text into memory with room for it. Returns its bytes: of hexadecimal and base64 text
 * only those before a wrong character.
 */
export function writeText(to: Buffer, text: string, encoding: TextEncoding): number {
  if (encoding !== 'cstring') return to.write(text, encoding)
  const length = to.write(text)
  to[length] = 0
  return length + 1
}

/**
 * Reads the text that fills `from`; a C string ends before its zero. Throws ERR_OUT_OF_RANGE when
 * it has none.
 */
export function readText(from: Buffer, encoding: TextEncoding): string {
  if (encoding !== 'cstring') return from.toString(encoding)
  const length = from.indexOf(0)
  if (length < 0)
    throw outOfRange('length', 'enough for a C string with its zero byte', from.length)
  return from.toString('utf8', 0, length)
}
