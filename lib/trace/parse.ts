/**
 * Parses `.rep` text, the trace format of CS:APP's malloc lab, byte by byte as it arrives. Only the
 * current line is kept.
 *
 *     20000       up to four header lines: suggested heap size or weight,
 *     3             number of ids,
 *     6             number of operations,
 *     1             weight or peak bytes
 *     a 0 512     malloc   ID SIZE
 *     c 1 4 16    calloc   ID COUNT SIZE
 *     m 2 64 100  aligned  ID ALIGNMENT SIZE
 *     r 0 640     realloc  ID SIZE
 *     f 1         free     ID
 *     f -1        free(NULL)
 *
 * Existing files differ: CRLF, fewer header lines, comments (`#` to the end of the line), wrong
 * counts, `r` on an id without a block (malloc), `r ID 0` (free), and `w ID SIZE`, which in MIT's
 * traces is the program writing to a block, and is skipped. All of these are accepted; anything
 * else gets an error that names the line.
 *
 * The input may be anything, even endless (`/dev/zero`): a wrong byte is rejected when it arrives,
 * not when its line ends, and the length of lines is limited.
 */

import { OffheapError } from '../errors.js'
import {
  ALIGNED,
  BY_REALLOC,
  CALLOC,
  FREE,
  type Kind,
  MALLOC,
  MAX_OPERATIONS,
  NULL_ID,
  REALLOC,
  type Trace,
  TraceBuilder,
  type Weight
} from './trace.js'

/** The longest valid line in bytes, without its comment. */
const MAX_LINE = 256
/** The longest valid line in bytes, with its comment. */
const MAX_COMMENTED_LINE = 2 ** 20
/** The most lines in a row that are empty or comments. */
const MAX_IDLE_LINES = 2 ** 20
/** Ids in the file below this are looked up in a table, others in a map. */
const TABLE_IDS = 2 ** 24
/** The most entries that a Map can hold. */
const MAX_MAP_IDS = 2 ** 24

const WEIGHTS: readonly Weight[] = [0, 1, 2, 3]

/** The byte order mark that some editors write before UTF-8. */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf]
const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const HASH = 0x23
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39
const A = 0x61
const C = 0x63
const F = 0x66
const M = 0x6d
const R = 0x72
const W = 0x77

/** The form of each operation, for messages. */
const FORMS = {
  a: 'malloc is "a ID SIZE"',
  c: 'calloc is "c ID COUNT SIZE"',
  m: 'an aligned allocation is "m ID ALIGNMENT SIZE"',
  r: 'realloc is "r ID SIZE"',
  f: 'free is "f ID"',
  w: 'a write to a block is "w ID SIZE"'
} as const

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === CR
}

/** The number in a header line, and its text in the file. */
interface Figure {
  readonly value: number
  readonly text: string
}

/**
 * Maps each id of the file to the next dense id when it first appears, and records which have a
 * block.
 */
class Ids {
  count = 0
  #table = new Int32Array(1024) // dense id + 1; 0 for never seen
  readonly #map = new Map<number, number>()
  #live = new Uint8Array(1024)

  /** Returns the dense id of an id in the file, or -1 if it never appeared. */
  find(id: number): number {
    if (id < TABLE_IDS) return (this.#table[id] ?? 0) - 1
    return this.#map.get(id) ?? -1
  }

  /** Adds an id that never appeared before. Returns its dense id, or -1 if there are too many. */
  add(id: number): number {
    const dense = this.count
    if (id < TABLE_IDS) {
      if (id >= this.#table.length) {
        const table = new Int32Array(Math.max(id + 1, this.#table.length * 2))
        table.set(this.#table)
        this.#table = table
      }
      this.#table[id] = dense + 1
    } else {
      if (this.#map.size === MAX_MAP_IDS) return -1
      this.#map.set(id, dense)
    }
    if (dense === this.#live.length) {
      const live = new Uint8Array(dense * 2)
      live.set(this.#live)
      this.#live = live
    }
    this.count = dense + 1
    return dense
  }

  isLive(dense: number): boolean {
    return this.#live[dense] === 1
  }

  setLive(dense: number, live: boolean): void {
    this.#live[dense] = live ? 1 : 0
  }
}

/** Parses the bytes of a `.rep` file in any portions: `push` each, then `finish`. */
export class TraceParser {
  readonly #source: string
  readonly #builder = new TraceBuilder()
  readonly #ids = new Ids()
  readonly #header: Figure[] = []
  /** The number of lines that are writes to a block. */
  #writes = 0
  /** The form of this line's operation. */
  #form = ''
  /**
   * The start of a line whose end has not arrived; with room for a byte order mark and one byte too
   * many.
   */
  readonly #rest = new Uint8Array(3 + MAX_LINE + 1)
  #restLength = 0
  /** The bytes of that line so far, including those that were not kept. */
  #lineLength = 0
  /** The last line with a number or an operation. */
  #lastUsed = 0
  /** The line being parsed is `#bytes` from `#cursor` to `#end`. */
  #bytes: Uint8Array = this.#rest
  #cursor = 0
  #end = 0
  #line = 1

  /** `source` names the file in errors. */
  constructor(source: string) {
    this.#source = source
  }

  /** The line being read, counted from 1. */
  get line(): number {
    return this.#line
  }

  /** Parses a portion. Throws `ERR_OFFHEAP_TRACE` that names the invalid line. */
  push(bytes: Uint8Array): void {
    let start = 0
    for (let end = bytes.indexOf(LF); end !== -1; end = bytes.indexOf(LF, start)) {
      if (this.#lineLength === 0) {
        this.#checkLength(end - start)
        this.#parseLine(bytes, start, end)
      } else {
        this.#keep(bytes, start, end)
        this.#parseRest()
      }
      start = end + 1
    }
    if (start < bytes.length) {
      this.#keep(bytes, start, bytes.length)
      this.#scanRest()
    }
  }

  /** Returns the trace, after the last portion. */
  finish(name: string): Trace {
    if (this.#lineLength > 0) this.#parseRest()
    if (this.#lastUsed === 0) {
      throw new OffheapError(
        'ERR_OFFHEAP_TRACE',
        `${this.#source}: it has neither a header nor an operation`
      )
    }
    return this.#builder.build(name, this.#notes(), this.#weight())
  }

  /** The 32-bit files end their header with the weight, the 64-bit ones begin it with one. */
  #weight(): Weight | undefined {
    if (this.#header.length !== 4) return undefined
    const figures = [this.#header[3]?.value, this.#header[0]?.value]
    return (
      WEIGHTS.find(weight => weight === figures[0]) ?? WEIGHTS.find(weight => weight === figures[1])
    )
  }

  fail(message: string): OffheapError {
    return new OffheapError('ERR_OFFHEAP_TRACE', `${this.#source}:${this.#line}: ${message}`)
  }

  #notes(): string[] {
    const header = this.#header
    // Two lines are ids and operations; with three or four, another line comes before them.
    const [ids, operations] = header.length === 2 ? header : header.slice(1)
    const notes: string[] = []
    if (header.length === 0) notes.push('there is no header')
    // Programs that write such lines count them as operations.
    const seen = this.#builder.length + this.#writes
    if (operations !== undefined && operations.value !== seen) {
      notes.push(`the header says ${operations.text} operations, but there are ${seen}`)
    }
    if (ids !== undefined && ids.value !== this.#ids.count) {
      notes.push(`the header says ${ids.text} ids, but there are ${this.#ids.count}`)
    }
    if (this.#writes > 0) {
      notes.push(
        `skipped ${this.#writes} lines "w ID SIZE": they write to a block, and do not call ` +
          `the allocator`
      )
    }
    return notes
  }

  /**
   * Keeps a part of a line; only as much as shows that it is too long, or that a comment has begun.
   */
  #keep(bytes: Uint8Array, start: number, end: number): void {
    const room = this.#rest.length - this.#restLength
    const length = Math.min(end - start, room)
    this.#rest.set(bytes.subarray(start, start + length), this.#restLength)
    this.#restLength += length
    this.#lineLength += end - start
    this.#checkLength(this.#lineLength)
  }

  /** Rejects the start of a line that can't become valid. */
  #scanRest(): void {
    // A byte order mark may have arrived in part.
    const marked = this.#line === 1 ? markLength(this.#rest, 0, this.#restLength) : 0
    if (marked === this.#restLength) return
    this.#bytes = this.#rest
    this.#cursor = marked === BYTE_ORDER_MARK.length ? marked : 0
    this.#endOfText(this.#restLength)
  }

  #parseRest(): void {
    this.#parseLine(this.#rest, 0, this.#restLength)
    this.#restLength = 0
    this.#lineLength = 0
  }

  #checkLength(length: number): void {
    if (length <= MAX_COMMENTED_LINE) return
    throw this.fail(`the line is longer than ${MAX_COMMENTED_LINE} bytes, its comment included`)
  }

  #parseLine(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes
    this.#cursor = this.#line === 1 ? skipByteOrderMark(bytes, start, end) : start
    this.#end = this.#endOfText(end)
    this.#skipSpace()
    if (this.#cursor < this.#end) {
      this.#lastUsed = this.#line
      const first = bytes[this.#cursor]
      if (first === MINUS || (first >= ZERO && first <= NINE)) this.#parseHeader()
      else this.#parseOperation()
      this.#skipSpace()
      if (this.#cursor < this.#end) {
        throw this.fail(
          `'${this.#token()}' is one field too many${this.#form && `; ${this.#form}`}`
        )
      }
    } else if (this.#line - this.#lastUsed > MAX_IDLE_LINES) {
      throw this.fail(`no operation in ${MAX_IDLE_LINES} lines; this is not a .rep trace`)
    }
    this.#line++
  }

  /**
   * Returns where the line's comment begins, or its end. Throws for bytes that can't be part of a
   * trace.
   */
  #endOfText(end: number): number {
    const bytes = this.#bytes
    const limit = Math.min(end, this.#cursor + MAX_LINE)
    for (let i = this.#cursor; i < limit; i++) {
      const byte = bytes[i]
      if (byte === HASH) return i
      if ((byte < SPACE && !isSpace(byte)) || byte > 0x7e) {
        throw this.fail(
          `byte 0x${byte.toString(16).padStart(2, '0')} is not text; this is not a .rep trace`
        )
      }
    }
    if (limit === end || bytes[limit] === HASH) return limit
    throw this.fail(
      `the line is longer than ${MAX_LINE} bytes; an operation is a letter and up to three numbers`
    )
  }

  #parseHeader(): void {
    if (this.#builder.length > 0)
      throw this.fail(`expected an operation (a, r, c, m or f), found '${this.#token()}'`)
    if (this.#header.length === 4)
      throw this.fail('a header has at most four lines, but this is a fifth number')
    this.#form = ''
    const start = this.#cursor
    // These figures are only compared, so they may have any size.
    const value = this.#number('a header line', Number.POSITIVE_INFINITY)
    this.#cursor = start
    this.#header.push({ value, text: this.#token() })
  }

  #parseOperation(): void {
    if (this.#builder.length === MAX_OPERATIONS)
      throw this.fail(`more than ${MAX_OPERATIONS} operations`)
    const start = this.#cursor
    switch (this.#letter()) {
      case A: {
        this.#form = FORMS.a
        const id = this.#id()
        this.#allocate(MALLOC, id, this.#number('SIZE'), 0)
        break
      }
      case C: {
        this.#form = FORMS.c
        const id = this.#id()
        const count = this.#number('COUNT')
        const size = this.#number('SIZE')
        if (count * size > Number.MAX_SAFE_INTEGER)
          throw this.fail(`${count} × ${size} bytes is more than 2^53 - 1`)
        this.#allocate(CALLOC, id, size, count)
        break
      }
      case M: {
        this.#form = FORMS.m
        const id = this.#id()
        const alignment = this.#number('ALIGNMENT')
        const isPower = alignment >= 1 && Number.isInteger(Math.log2(alignment))
        if (!isPower) throw this.fail(`ALIGNMENT must be a power of two, found ${alignment}`)
        this.#allocate(ALIGNED, id, this.#number('SIZE'), alignment)
        break
      }
      case R: {
        this.#form = FORMS.r
        const id = this.#id()
        this.#reallocate(id, this.#number('SIZE'))
        break
      }
      case F:
        this.#form = FORMS.f
        this.#free()
        break
      case W:
        this.#form = FORMS.w
        this.#id()
        this.#number('SIZE')
        this.#writes++
        break
      default:
        this.#cursor = start
        throw this.fail(`unknown operation '${this.#token()}'; expected a, r, c, m or f`)
    }
  }

  /** Consumes and returns the single letter at the cursor; 0 for a longer word. */
  #letter(): number {
    const letter = this.#bytes[this.#cursor++]
    return this.#cursor === this.#end || isSpace(this.#bytes[this.#cursor]) ? letter : 0
  }

  #allocate(kind: Kind, id: number, size: number, extra: number): void {
    const dense = this.#dense(id)
    if (this.#ids.isLive(dense))
      throw this.fail(`id ${id} is allocated again while its block is still in use`)
    this.#ids.setLive(dense, true)
    this.#builder.add(kind, dense, size, extra, this.#line)
  }

  /** C's realloc(NULL, n) is malloc(n); realloc(p, 0) is free(p). */
  #reallocate(id: number, size: number): void {
    if (size === 0) {
      this.#release(id, BY_REALLOC)
      return
    }
    const dense = this.#dense(id)
    if (this.#ids.isLive(dense)) this.#builder.add(REALLOC, dense, size, 0, this.#line)
    else this.#allocate(MALLOC, id, size, BY_REALLOC)
  }

  #free(): void {
    this.#skipSpace()
    if (this.#bytes[this.#cursor] === MINUS) {
      const token = this.#token()
      if (token !== '-1')
        throw this.fail(`ID must be a whole number, or -1 for NULL, found '${token}'`)
      this.#builder.add(FREE, NULL_ID, 0, 0, this.#line)
    } else this.#release(this.#id())
  }

  #release(id: number, extra = 0): void {
    const dense = this.#ids.find(id)
    const [first, again] =
      extra === BY_REALLOC
        ? ['reallocated to 0 bytes', 'reallocated to 0 bytes after its free']
        : ['freed', 'freed twice']
    if (dense === -1) throw this.fail(`id ${id} is ${first} but was never allocated`)
    if (!this.#ids.isLive(dense)) throw this.fail(`id ${id} is ${again}`)
    this.#ids.setLive(dense, false)
    this.#builder.add(FREE, dense, 0, extra, this.#line)
  }

  #dense(id: number): number {
    const found = this.#ids.find(id)
    if (found !== -1) return found
    const added = this.#ids.add(id)
    if (added === -1)
      throw this.fail(`more than ${MAX_MAP_IDS} ids of ${TABLE_IDS} and above; number them from 0`)
    return added
  }

  #id(): number {
    return this.#number('ID')
  }

  /** Consumes and returns the whole number at the cursor. */
  #number(what: string, most = Number.MAX_SAFE_INTEGER): number {
    this.#skipSpace()
    const start = this.#cursor
    if (start === this.#end) throw this.fail(`the line ends where ${what} should be; ${this.#form}`)
    let value = 0
    let i = start
    for (; i < this.#end; i++) {
      const byte = this.#bytes[i]
      if (byte < ZERO || byte > NINE) break
      value = value * 10 + (byte - ZERO)
    }
    if (i < this.#end && !isSpace(this.#bytes[i])) {
      throw this.fail(`${what} must be a whole number, 0 or more, found '${this.#token()}'`)
    }
    if (value > most) throw this.fail(`${what} must be less than 2^53, found ${this.#token()}`)
    this.#cursor = i
    return value
  }

  #skipSpace(): void {
    while (this.#cursor < this.#end && isSpace(this.#bytes[this.#cursor])) this.#cursor++
  }

  /** Consumes and returns the word at the cursor, shortened for messages. */
  #token(): string {
    const start = this.#cursor
    while (this.#cursor < this.#end && !isSpace(this.#bytes[this.#cursor])) this.#cursor++
    const text = String.fromCharCode(
      ...this.#bytes.subarray(start, Math.min(this.#cursor, start + 40))
    )
    return this.#cursor - start > 40 ? `${text}…` : text
  }
}

/** The number of bytes from `start` on that belong to a byte order mark. */
function markLength(bytes: Uint8Array, start: number, end: number): number {
  const most = Math.min(end - start, BYTE_ORDER_MARK.length)
  let length = 0
  while (length < most && bytes[start + length] === BYTE_ORDER_MARK[length]) length++
  return length
}

function skipByteOrderMark(bytes: Uint8Array, start: number, end: number): number {
  return markLength(bytes, start, end) === BYTE_ORDER_MARK.length
    ? start + BYTE_ORDER_MARK.length
    : start
}

/** Parses a whole trace. Throws `ERR_OFFHEAP_TRACE` that names the invalid line. */
export function parseTrace(text: string, name = 'trace'): Trace {
  const parser = new TraceParser(name)
  parser.push(new TextEncoder().encode(text))
  return parser.finish(name)
}
