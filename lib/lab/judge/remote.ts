/** A submission's allocator in another process: each call is a command to that process. */

import {
  CALLOCS,
  CHECK,
  CREATE,
  FROM,
  INSTANCE,
  MODE,
  NO_POINTER,
  PLAIN,
  RUN,
  THREW,
  UNTIL
} from '../submission/channel.js'
import { type Fault, FaultFound, faultOf } from '../submission/fault.js'
import { worldHint } from '../submission/hints.js'
import { type Places, type Thrown, thrownFrom } from '../submission/places.js'
import { Told } from '../submission/verify.js'
import { faultFrom } from './parse.js'
import type { Moment, Seat, Stop } from './seat.js'

/** Thrown if the submission threw. */
export class Raised extends Error {
  override readonly name = 'Raised'
  readonly thrown: Thrown

  constructor(thrown: Thrown) {
    super(thrown.message)
    this.thrown = thrown
  }
}

export type Look = (moment: Moment) => Stop | undefined

export class Remote {
  readonly seat: Seat
  readonly #places: Places
  readonly #look: Look
  readonly #sources: readonly string[]

  constructor(seat: Seat, places: Places, sources: readonly string[], look: Look) {
    this.#sources = sources
    this.seat = seat
    this.#places = places
    this.#look = look
  }

  /** Calls `create` for one of the heaps. Throws `FaultFound`. */
  create(instance: number, mode: number = PLAIN, spins = true): void {
    const { words } = this.seat.channel
    words[INSTANCE] = instance
    words[MODE] = mode
    const fault = this.#faultAfter(this.seat.order(CREATE, this.#look, spins))
    if (fault !== undefined) throw new FaultFound(fault)
  }

  #faultAfter(status: number): Fault | undefined {
    const { text } = this.seat.channel
    if (status === THREW) {
      const { message, stack } = thrownFrom(text, this.#places)
      const said = /^SyntaxError/.test(message)
      return faultOf(
        said ? 'load' : 'exception',
        `create(memory), or loading the file, threw ${message}`,
        {
          stack,
          hint: worldHint(message)
        }
      )
    }
    return status === 0 ? undefined : faultFrom(text, this.#sources)
  }

  /**
   * Performs operations `from` to `until - 1`. Returns what was thrown, or a result that is not a
   * pointer.
   */
  run(instance: number, from: number, until: number, spins = true): Raised | Told | undefined {
    const { words } = this.seat.channel
    words[INSTANCE] = instance
    words[FROM] = from
    words[UNTIL] = until
    const status = this.seat.order(RUN, this.#look, spins)
    if (status === THREW) return new Raised(thrownFrom(this.seat.channel.text, this.#places))
    return status === NO_POINTER ? new Told(this.seat.channel.text) : undefined
  }

  /** Returns an allocator whose calls perform the operation that `at` returns. */
  allocator(instance: number, at: () => number) {
    const call = (): unknown => {
      const i = at()
      const odd = this.run(instance, i, i + 1)
      if (odd instanceof Raised) throw odd
      return odd ?? this.seat.channel.results[i]
    }
    return {
      malloc: call,
      ...(this.seat.channel.words[CALLOCS] === 1 ? { calloc: call } : {}),
      free: call,
      realloc: call,
      check: (): unknown => {
        this.seat.channel.words[INSTANCE] = instance
        const status = this.seat.order(CHECK, this.#look)
        const { text } = this.seat.channel
        if (status === THREW) throw new Raised(thrownFrom(text, this.#places))
        return text === 'false' ? false : text.slice(1)
      }
    }
  }
}

/** Converts an exception for the verifier. */
export function thrownBy(error: unknown): Thrown {
  if (error instanceof Raised) return error.thrown
  throw error
}
