/**
 * Reads the file that native/recorder.c writes and turns its events into `.rep` operations:
 * addresses become ids, and the two halves of a realloc become one operation. A recording can be
 * larger than memory, so it is translated piece by piece, and only live blocks are remembered.
 *
 * native/recorder.c draws the layout (header, windows, events); the constants here repeat it.
 */
import { type FileHandle, open } from 'node:fs/promises'

const MAGIC = Buffer.from('OFHPREC1')
const HEADER_BYTES = 65536
/** The number of events in a window; a recording has a whole number of windows. */
export const WINDOW_EVENTS = 65536
const EVENT_BYTES = 24
const ATTACHED_OFFSET = 8
const CAPACITY_OFFSET = 16
const NEXT_OFFSET = 64

const MALLOC = 1
const CALLOC = 2
const ALIGNED = 3
const FREE = 4
const REALLOC_BEGIN = 5
const REALLOC_END = 6

/** Creates the sparse file that the recorder maps, with room for `windows` windows of events. */
export async function createEvents(path: string, windows: number): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    MAGIC.copy(header)
    await file.write(header)
    await file.truncate(HEADER_BYTES + windows * WINDOW_EVENTS * EVENT_BYTES)
  } finally {
    await file.close()
  }
}

/** The header of a recording. */
export interface EventsHeader {
  /** Whether the recorder ran inside the program. */
  readonly attached: boolean
  /** The number of events in the file. */
  readonly events: number
  /** The number of events for which there was no room. */
  readonly lost: number
}

async function readHeader(file: FileHandle): Promise<EventsHeader> {
  const { buffer } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)
  const taken = Number(buffer.readBigUInt64LE(NEXT_OFFSET))
  // The program maps the header too, and may have overwritten it: trust it no further than the
  // file's size.
  const { size } = await file.stat()
  const room = Math.max(0, Math.floor((size - HEADER_BYTES) / EVENT_BYTES))
  const events = Math.min(taken, Number(buffer.readBigUInt64LE(CAPACITY_OFFSET)), room)
  return { attached: buffer.readBigUInt64LE(ATTACHED_OFFSET) === 1n, events, lost: taken - events }
}

export async function readEventsHeader(path: string): Promise<EventsHeader> {
  const file = await open(path)
  try {
    return await readHeader(file)
  } finally {
    await file.close()
  }
}

interface LiveBlock {
  readonly id: number
  size: number
  /** The bytes that the block takes in a heap with generous headers. */
  space: number
}

/** Follows the events of one recording, in order. */
export class Translation {
  /** The number of operations written so far. */
  operations = 0
  /** The number of blocks allocated so far; each has an id of its own. */
  ids = 0
  /** The bytes of all live blocks. */
  aliveBytes = 0
  /** The maximum of `aliveBytes`. */
  peakBytes = 0
  /**
   * The maximum of all live blocks with generous headers and padding: the room that a heap needs.
   */
  peakSpace = 0
  /** The number of frees and reallocs of blocks that are older than the recording. */
  dropped = 0
  /** The number of requests that the program's allocator refused. */
  failed = 0
  #space = 0
  #slot = 0
  /** By address / 8: an address can have 56 bits, but a number holds 53. */
  readonly #live = new Map<number, LiveBlock>()
  /** Blocks in the middle of a realloc, by the slot of its first event, and where they were. */
  readonly #moving = new Map<number, { block: LiveBlock; address: number }>()

  /** The number of live blocks, those in the middle of a realloc included. */
  get aliveBlocks(): number {
    return this.#live.size + this.#moving.size
  }

  /** Translates the next events of the file to lines of text. */
  translate(events: Buffer): string {
    const lines: string[] = []
    for (let at = 0; at < events.length; at += EVENT_BYTES) {
      const low = events.readUInt32LE(at)
      const address = events.readUInt32LE(at + 4) * 2 ** 29 + (low >>> 3)
      const size = readUInt64(events, at + 8)
      const extra = readUInt64(events, at + 16)
      this.#event(lines, low & 7, address, size, extra)
      this.#slot++
    }
    this.operations += lines.length
    return lines.length === 0 ? '' : `${lines.join('\n')}\n`
  }

  #event(lines: string[], kind: number, address: number, size: number, extra: number): void {
    if (kind === FREE) this.#free(lines, address)
    else if (kind === REALLOC_BEGIN) this.#beginRealloc(address)
    else if (kind === REALLOC_END) this.#endRealloc(lines, address, size, extra)
    else if (kind === MALLOC || kind === CALLOC || kind === ALIGNED) {
      if (address === 0) this.failed++
      else if (kind === MALLOC) lines.push(`a ${this.#add(lines, address, size)} ${size}`)
      else if (kind === CALLOC)
        lines.push(`c ${this.#add(lines, address, size * extra)} ${extra} ${size}`)
      else this.#align(lines, address, size, extra)
    }
    // Any other kind: the program died between taking the slot and writing it.
  }

  #align(lines: string[], address: number, size: number, asked: number): void {
    // C's memalign rounds any alignment up; the trace has the result.
    const alignment = 2 ** Math.ceil(Math.log2(Math.max(1, asked)))
    lines.push(`m ${this.#add(lines, address, size, alignment)} ${alignment} ${size}`)
  }

  #add(lines: string[], address: number, size: number, alignment = 0): number {
    this.#vacate(lines, address)
    const block = { id: this.ids++, size: 0, space: 0 }
    this.#resize(block, size, spaceOf(size + alignment))
    this.#put(lines, address, block)
    return block.id
  }

  /** Notes a block at its address. */
  #put(lines: string[], address: number, block: LiveBlock): void {
    this.#vacate(lines, address)
    this.#live.set(address, block)
  }

  /** Ends a block whose address was returned again: its free was not recorded. */
  #vacate(lines: string[], address: number): void {
    if (this.#live.has(address)) this.#free(lines, address)
  }

  #free(lines: string[], address: number): void {
    const block = this.#live.get(address)
    if (block === undefined) {
      this.dropped++
      return
    }
    this.#live.delete(address)
    this.#end(lines, block)
  }

  #end(lines: string[], block: LiveBlock): void {
    this.#resize(block, 0, 0)
    lines.push(`f ${block.id}`)
  }

  /** Begins a realloc: from here on another thread may get this address. */
  #beginRealloc(address: number): void {
    const block = this.#live.get(address)
    if (block === undefined) {
      this.dropped++
      return
    }
    this.#live.delete(address)
    this.#moving.set(this.#slot, { block, address })
  }

  #endRealloc(lines: string[], address: number, size: number, begin: number): void {
    const moving = this.#moving.get(begin)
    this.#moving.delete(begin)
    if (address === 0 && size > 0) {
      this.failed++
      if (moving !== undefined) this.#put(lines, moving.address, moving.block)
    } else if (size === 0) {
      // In a trace, realloc to 0 bytes frees; some allocators return a new empty block.
      if (moving !== undefined) this.#end(lines, moving.block)
      if (address !== 0) lines.push(`a ${this.#add(lines, address, 0)} 0`)
    } else if (moving === undefined) {
      lines.push(`a ${this.#add(lines, address, size)} ${size}`)
    } else {
      // End the old block first: the two were never alive together.
      this.#vacate(lines, address)
      this.#resize(moving.block, size, spaceOf(size))
      this.#put(lines, address, moving.block)
      lines.push(`r ${moving.block.id} ${size}`)
    }
  }

  #resize(block: LiveBlock, size: number, space: number): void {
    this.aliveBytes += size - block.size
    this.#space += space - block.space
    block.size = size
    block.space = space
    this.peakBytes = Math.max(this.peakBytes, this.aliveBytes)
    this.peakSpace = Math.max(this.peakSpace, this.#space)
  }
}

function readUInt64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * 2 ** 32 + bytes.readUInt32LE(at)
}

/**
 * The bytes of a block with header, boundary tag and padding, in an allocator with 16-byte
 * alignment.
 */
function spaceOf(size: number): number {
  return Math.ceil((size + 16) / 16) * 16
}

/** Translates a whole recording, and yields its text in pieces. */
export async function* translateEvents(
  path: string,
  translation: Translation
): AsyncGenerator<string> {
  const file = await open(path)
  try {
    const { events } = await readHeader(file)
    const piece = Buffer.alloc(8192 * EVENT_BYTES)
    for (let done = 0; done < events; done += 8192) {
      const length = Math.min(8192, events - done) * EVENT_BYTES
      await file.read(piece, 0, length, HEADER_BYTES + done * EVENT_BYTES)
      const text = translation.translate(piece.subarray(0, length))
      if (text !== '') yield text
    }
  } finally {
    await file.close()
  }
}
