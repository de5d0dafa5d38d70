/**
 * Replays a trace on a student's allocator and verifies it: checks every result at once, fills
 * every payload with its own pattern, and compares it before each realloc and free, at intervals
 * and at the end. Stops at the first fault.
 */

import { types } from 'node:util'
import { inspect } from '../../errors.js'
import { expectedByte, Payloads } from '../../trace/pattern.js'
import {
  BY_REALLOC,
  CALLOC,
  describeOperation,
  FREE,
  MALLOC,
  NULL_ID,
  REALLOC,
  type Trace
} from '../../trace/trace.js'
import { type Fault, FaultFound, type FaultKind, type FaultParts, faultOf } from './fault.js'
import { HINTS, payloadHint, worldHint } from './hints.js'
import { Ledger } from './ledger.js'
import type { Views } from './memory.js'
import { type Focus, neighbourhood } from './picture.js'
import type { Thrown } from './places.js'

export interface VerifySettings {
  /** The alignment of payloads in bytes; a multiple of 8. */
  readonly alignment: number
  /**
   * The number of operations between two checks of all payloads, and calls of the student's
   * `check()`.
   */
  readonly checkInterval: number
  /** Describes what the student's code threw. */
  readonly thrown: (error: unknown) => Thrown
  /** The id whose payload is checked after every operation; -1 for none. */
  readonly watch: number
  /** Whether the allocator must have a calloc. */
  readonly needsCalloc: boolean
}

/** What a verifier needs to know about a heap. Offsets are in bytes. */
export interface HeapState {
  readonly views: Views
  readonly low: number
  readonly high: number
  /** The bytes of the last failed `sbrk`; 0 for none. */
  readonly refused: number
  /** Returns the first byte written on either side of the heap, if any. */
  breach(): { readonly at: number; readonly found: number } | undefined
}

/**
 * The functions of a submission's allocator, in this or another process. They may return anything.
 */
export interface Calls {
  malloc(size: number): unknown
  free(pointer: number): unknown
  realloc(pointer: number, size: number): unknown
  calloc?(count: number, size: number): unknown
  check?(): unknown
}

/** The description of a result that is not a pointer, for results of another process. */
export class Told {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export class Verifier {
  readonly trace: Trace
  readonly lab: HeapState
  readonly ledger: Ledger
  /** The current operation. */
  operation = -1
  /** The id whose block the current operation may access; -1 for none. */
  own = -1
  /** The result of malloc or realloc in the current operation; 0 for none yet. */
  returned = 0
  /** Called for every range of bytes that the program writes. */
  onFill: (from: number, to: number) => void = () => {}
  /** The most payload bytes in use at one time. */
  peakPayload = 0
  #payload = 0
  readonly #allocator: Calls
  readonly #settings: VerifySettings
  readonly #payloads: Payloads

  /** Guards the memory from here on. */
  constructor(trace: Trace, lab: HeapState, allocator: Calls, settings: VerifySettings) {
    this.trace = trace
    this.lab = lab
    this.ledger = new Ledger(trace)
    this.#allocator = allocator
    this.#settings = settings
    this.#payloads = new Payloads(lab.views.u8)
  }

  /** Performs operation `i`, which must be the next one. Throws `FaultFound`. */
  step(i: number): void {
    const { trace } = this
    const id = trace.idOf[i]
    this.operation = i
    this.own = -1
    this.returned = 0
    const kind = trace.kinds[i]
    if (kind === FREE) this.#free(i, id)
    else if (kind === REALLOC) this.#reallocate(i, id)
    else this.#allocate(i, id)
    this.#checkGuards()
    if (this.#payload > this.peakPayload) this.peakPayload = this.#payload
    const { checkInterval, watch } = this.#settings
    if (watch !== -1 && this.ledger.isLive(watch)) this.#checkPayload(watch)
    if ((i + 1) % checkInterval === 0) this.checkAll()
  }

  /** Checks every payload, and calls the student's `check()`. */
  checkAll(): void {
    for (let id = 0; id < this.trace.ids; id++) if (this.ledger.isLive(id)) this.#checkPayload(id)
    this.#checkHeap()
  }

  /** Creates a fault of the current operation. */
  fault(kind: FaultKind, what: string, more: FaultParts = {}): Fault {
    const where = this.operation === -1 ? '' : describeOperation(this.trace, this.operation)
    return faultOf(kind, what, { operation: this.operation, where, ...more })
  }

  #fail(kind: FaultKind, what: string, more: FaultParts = {}): never {
    throw new FaultFound(this.fault(kind, what, more))
  }

  /** Returns the picture around a focus, and its history. */
  surroundings(focus: Focus): Pick<Fault, 'picture' | 'details'> {
    const { low, high } = this.lab
    const history = this.ledger.history(focus.from, focus.to, this.operation)
    return {
      picture: neighbourhood(this.ledger, { low, high }, focus),
      details:
        history.length === 0 ? [] : ['Before, at this place:', ...history.map(line => `  ${line}`)]
    }
  }

  #allocate(i: number, id: number): void {
    const bytes = this.ledger.sizeAt(i)
    const isCalloc = this.trace.kinds[i] === CALLOC
    const hasCalloc = typeof this.#allocator.calloc === 'function'
    if (isCalloc && !hasCalloc && this.#settings.needsCalloc)
      this.#fail('calloc', 'the allocator has no calloc, which this step is about')
    const isRealloc = this.trace.kinds[i] === MALLOC && this.trace.extras[i] === BY_REALLOC
    const name = isCalloc && hasCalloc ? 'calloc' : isRealloc ? 'realloc' : 'malloc'
    const pointer = this.#call(name, () => {
      if (name === 'malloc') return this.#allocator.malloc(bytes)
      if (name === 'realloc') return this.#allocator.realloc(0, bytes)
      return this.#allocator.calloc?.(this.trace.extras[i], this.trace.sizes[i])
    })
    if (pointer === 0) {
      if (bytes > 0) this.#outOfMemory(name, bytes)
    } else this.#checkPlace(name, pointer, bytes, -1)
    if (pointer === 0) return
    if (name === 'calloc') this.#checkZero(pointer, bytes)
    this.ledger.births[id] = i
    this.ledger.take(id, pointer, bytes, i)
    this.#payload += bytes
    this.#payloads.fill(pointer, seedOf(i), 0, bytes)
    this.onFill(pointer, pointer + bytes)
  }

  #checkZero(pointer: number, bytes: number): void {
    const at = this.lab.views.u8.subarray(pointer, pointer + bytes).findIndex(byte => byte !== 0)
    if (at === -1) return
    const byte = pointer + at
    this.#fail(
      'calloc',
      `calloc must return zeros, but byte ${at} of the block, at ${byte}, is ` +
        hex(this.lab.views.u8[byte]),
      {
        ...this.surroundings({ from: byte, to: byte + 1, label: `byte ${at} of the block` }),
        hint: HINTS.calloc
      }
    )
  }

  #reallocate(i: number, id: number): void {
    const { ledger } = this
    const bytes = ledger.sizeAt(i)
    const wasLive = ledger.isLive(id)
    const from = wasLive ? ledger.pointers[id] : 0
    const before = wasLive ? ledger.sizes[id] : 0
    if (wasLive) this.#checkPayload(id)
    this.own = id
    const pointer = this.#call('realloc', () => this.#allocator.realloc(from, bytes))
    if (pointer === 0) this.#outOfMemory('realloc', bytes)
    this.#checkPlace('realloc', pointer, bytes, id)
    const seed = wasLive ? seedOf(ledger.births[id]) : seedOf(i)
    if (!wasLive) ledger.births[id] = i
    const kept = Math.min(before, bytes)
    const at = this.#payloads.firstChanged(pointer, seed, kept)
    if (at !== -1) this.#lost(pointer, from, before, kept, at, seed)
    if (wasLive) ledger.drop(id, i)
    ledger.take(id, pointer, bytes, i)
    this.#payload += bytes - before
    this.#payloads.fill(pointer, seed, kept, bytes)
    this.onFill(pointer, pointer + bytes)
  }

  #lost(
    pointer: number,
    from: number,
    before: number,
    kept: number,
    at: number,
    seed: number
  ): never {
    const { picture } = this.surroundings({
      from: pointer + at,
      to: pointer + at + 1,
      label: `byte ${at} of the block`
    })
    const moved =
      pointer === from
        ? `The block stayed at ${from}`
        : `The block moved from ${from} to ${pointer}`
    this.#fail(
      'realloc',
      `realloc must keep the first ${kept} bytes of the block, but byte ${at} was lost`,
      {
        details: [
          `${moved}; it had ${before} bytes before.`,
          `Byte ${at}, at ${pointer + at}, is ${hex(this.#payloads.found(pointer, at))} ` +
            `and should be ${hex(expectedByte(seed, at))}.`
        ],
        picture,
        hint: HINTS.reallocLost
      }
    )
  }

  #free(i: number, id: number): void {
    let pointer = 0
    if (id !== NULL_ID && this.ledger.isLive(id)) {
      this.#checkPayload(id)
      pointer = this.ledger.pointers[id]
      this.#payload -= this.ledger.sizes[id]
      this.ledger.drop(id, i)
    }
    if (this.trace.extras[this.operation] === BY_REALLOC) {
      const left = this.#call('realloc', () => this.#allocator.realloc(pointer, 0))
      if (left === 0) return
      pointer = left
    }
    this.#call('free', () => {
      this.#allocator.free(pointer)
      return 0
    })
  }

  /** Calls the student's code, and checks that it returns a pointer. */
  #call(name: string, call: () => unknown): number {
    let result: unknown
    try {
      result = call()
    } catch (error) {
      if (error instanceof FaultFound) throw error
      const { message, stack, isDeep } = this.#settings.thrown(error)
      this.#fail('exception', `${name} threw ${message}`, {
        stack,
        hint: isDeep ? HINTS.deep : worldHint(message)
      })
    }
    if (typeof result === 'number' && Number.isInteger(result) && result >= 0) return result
    const text =
      result instanceof Told ? result.text : types.isPromise(result) ? 'a Promise' : inspect(result)
    const isRefusal = text === '-1'
    this.#fail(
      'not-a-pointer',
      `${name} returned ${text}, which is not a pointer: it must be a byte offset, or 0 for NULL`,
      {
        details: isRefusal && this.lab.refused > 0 ? [this.#refusal()] : [],
        hint: HINTS_FOR[text] ?? ''
      }
    )
  }

  #outOfMemory(name: string, bytes: number): never {
    const { lab } = this
    if (lab.refused === 0) {
      this.#fail(
        'out-of-memory',
        `${name} returned 0 (NULL) for ${bytes} bytes, although there is memory left`,
        {
          details: [
            `The heap has ${lab.high - lab.low} bytes, with ${this.#payload} bytes of ` +
              'payload in use.'
          ],
          hint: HINTS.nullTooEarly
        }
      )
    }
    this.#fail(
      'out-of-memory',
      `the memory is used up: ${name} returned 0 (NULL) for ${bytes} bytes`,
      {
        details: [
          `The heap has grown to ${lab.high - lab.low} bytes for ${this.#payload} bytes of ` +
            'payload in use.',
          this.#refusal()
        ],
        ...(lab.refused > LARGE * bytes + LARGE_BYTES
          ? { cause: `sbrk was asked for ${lab.refused} bytes, for a block of ${bytes}` }
          : {}),
        hint: HINTS.neverReused
      }
    )
  }

  #refusal(): string {
    return `The last sbrk, of ${this.lab.refused} bytes, was refused: more than the memory has.`
  }

  #checkPlace(name: string, pointer: number, bytes: number, own: number): void {
    const { lab, ledger } = this
    const { alignment } = this.#settings
    this.returned = pointer
    const end = pointer + bytes
    const focus = {
      from: pointer,
      to: Math.max(end, pointer + 1),
      label: `${pointer} to ${end - 1}: what ${name} returned`
    }
    const answer = `${name} returned ${pointer}`
    if (pointer % alignment !== 0) {
      this.#fail('misaligned', `${answer}, which is not a multiple of ${alignment}`, {
        ...this.surroundings(focus),
        hint: HINTS.misaligned
      })
    }
    if (pointer < lab.low || end > lab.high) {
      const side =
        pointer < lab.low
          ? `begins ${lab.low - pointer} bytes below memory.low (${lab.low})`
          : pointer >= lab.high
            ? `begins beyond memory.high (${lab.high})`
            : `ends ${end - lab.high} bytes beyond memory.high (${lab.high})`
      const { picture, details } = this.surroundings(focus)
      this.#fail(
        'outside',
        `${answer}: a block of ${bytes} bytes there lies outside the heap; it ${side}`,
        {
          picture,
          details: lab.refused > 0 ? [this.#refusal(), ...details] : details,
          hint: HINTS.outside
        }
      )
    }
    let other = ledger.ownerWithin(pointer, Math.max(end, pointer + 1))
    // A block that realloc resizes or moves may overlap its old place.
    if (other === own && other !== -1) other = this.#otherThan(own, pointer, end)
    if (other === -1) return
    const start = ledger.pointers[other]
    this.#fail(
      'overlap',
      `${answer}: ${bytes} bytes there overlap ${ledger.nameOf(other)}, which is in use`,
      {
        ...this.surroundings(focus),
        hint:
          pointer === start
            ? HINTS.sameBlock
            : pointer < start
              ? HINTS.overlapBehind
              : HINTS.overlapInside
      }
    )
  }

  #otherThan(own: number, pointer: number, end: number): number {
    for (let at = pointer - (pointer % 8); at < end; at += 8) {
      const other = this.ledger.ownerWithin(at, Math.min(end, at + 8))
      if (other !== own && other !== -1) return other
    }
    return -1
  }

  #checkPayload(id: number): void {
    const { ledger, lab } = this
    const pointer = ledger.pointers[id]
    const seed = seedOf(ledger.births[id])
    const at = this.#payloads.firstChanged(pointer, seed, ledger.sizes[id])
    if (at === -1) return
    const byte = pointer + at
    const found = hex(this.#payloads.found(pointer, at))
    this.#fail(
      'payload',
      `byte ${at} of ${ledger.nameOf(id)} has changed: it was ` +
        `${hex(expectedByte(seed, at))} and is ${found}`,
      {
        picture: this.surroundings({
          from: byte,
          to: byte + 1,
          label: `byte ${at} of the block, at ${byte}`
        }).picture,
        block: id,
        details: [
          'Only the program may write there, between its malloc and its free; the allocator did.'
        ],
        hint: payloadHint(lab, byte)
      }
    )
  }

  #checkGuards(): void {
    const { lab } = this
    const breach = lab.breach()
    if (breach === undefined) return
    const { at, found } = breach
    const above = at >= lab.high
    const place = above
      ? `${at - lab.high} bytes beyond memory.high (${lab.high})`
      : `below memory.low (${lab.low})`
    this.#fail(
      'access',
      `the allocator wrote ${hex(found)} at byte ${at}, ${place}: this memory was never ` +
        'handed out by sbrk',
      {
        picture: this.surroundings({ from: at, to: at + 1, label: `byte ${at}` }).picture,
        hint: above ? HINTS.beyond : HINTS.below
      }
    )
  }

  #checkHeap(): void {
    const allocator = this.#allocator
    if (allocator.check === undefined) return
    let answer: unknown
    try {
      answer = allocator.check()
    } catch (error) {
      if (error instanceof FaultFound) throw error
      const { message, stack } = this.#settings.thrown(error)
      this.#fail(
        'check',
        `after this operation your check() threw: ${message.replace(/^Error: /, '')}`,
        { stack }
      )
    }
    if (answer === false) this.#fail('check', 'after this operation your check() returned false')
    if (typeof answer === 'string' && answer !== '') {
      this.#fail('check', `after this operation your check() says: ${answer}`)
    }
  }
}

/**
 * A request to `sbrk` is too large if it exceeds this many times the block, plus this many bytes.
 */
const LARGE = 4
const LARGE_BYTES = 65_536

/** Hints for results that are not pointers. */
const HINTS_FOR: Readonly<Record<string, string>> = {
  undefined: HINTS.missingReturn,
  '-1': HINTS.sbrkFailed,
  'a Promise': HINTS.async
}

/** Returns the seed of a block's pattern, by the operation that allocated it. */
function seedOf(operation: number): number {
  return Math.imul(operation + 1, 0x85ebca6b)
}

export function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}
