/**
 * A program that the user builds call by call, and every moment of it. Each call runs once, on
 * memory that records. Then the session can move back and forth between the stores. A call made at
 * an earlier moment replaces the calls after it.
 *
 * A moment is a call and the number of its steps done: `{ call: 3, step: 0 }` is before the first
 * step of the call with index 3. After n complete calls, the moment is `{ call: n, step: 0 }`.
 */

import { type Call, CallError, MOST_CALLS, makesVariable, type Reference } from './calls.js'
import type { HeapPicture } from './picture.js'
import type { Instrument, LiveBlock, Player } from './player.js'
import type { Step } from './recorder.js'

/** The outcome of a call. */
export interface Run {
  readonly call: Call
  /** The variable that the call creates; -1 for none. */
  readonly variable: number
  readonly steps: readonly Step[]
  /** The returned pointer; undefined for `free`, and if the call threw. */
  readonly returned: number | undefined
  /** The error that it threw. */
  readonly error: { readonly message: string; readonly stack: string } | undefined
  /** The end of the heap after the call, and what the allocator's `describe()` returned. */
  readonly high: number
  readonly description: unknown
}

export interface Moment {
  readonly call: number
  readonly step: number
}

/** The program fills each block with the letter of its variable. */
const LETTERS = 26
const FIRST_LETTER = 0x61

export class Session {
  readonly instrument: Instrument
  /** Whether the program fills its blocks with the letters of their variables. */
  readonly fills: boolean
  readonly #runs: Run[] = []
  #now: Moment = { call: 0, step: 0 }
  #player: Player
  /** The pointers of the variables, after the last call. */
  #pointers: number[] = []
  /** The memory at `#now`. */
  #image: Int32Array
  #firstHigh: number
  #firstDescription: unknown

  constructor(instrument: Instrument, fills: boolean) {
    this.instrument = instrument
    this.fills = fills
    this.#player = instrument.open()
    this.#image = this.#player.recorder.words.slice()
    this.#firstHigh = this.#player.high
    this.#firstDescription = this.#player.describe()
  }

  get runs(): readonly Run[] {
    return this.#runs
  }

  get now(): Moment {
    return this.#now
  }

  /** The number of variables after the last call. */
  get variables(): number {
    return this.#pointers.length
  }

  /** The number of variables at the current moment. */
  get variablesNow(): number {
    return this.runs.slice(0, this.#now.call).filter(({ variable }) => variable >= 0).length
  }

  /**
   * Runs a call at the current moment, and discards the calls after it. Throws `CallError` if
   * there are too many calls.
   */
  run(call: Call): Run {
    this.#forgetWhatFollows()
    if (this.runs.length >= MOST_CALLS)
      throw new CallError(`A program has at most ${MOST_CALLS} calls`)
    const run = this.#perform(call)
    this.#runs.push(run)
    this.go({ call: this.runs.length, step: 0 })
    return run
  }

  /** Moves to a moment, or to the nearest one that exists. */
  go({ call, step }: Moment): void {
    const target = Math.min(Math.max(0, call), this.runs.length)
    const steps = this.runs[target]?.steps.length ?? 0
    let goal: Moment = { call: target, step: Math.min(Math.max(0, step), steps) }
    // The moment after the last step of a call is the one before the next call.
    if (goal.step === steps && target < this.runs.length && step > 0)
      goal = { call: target + 1, step: 0 }
    while (isBefore(goal, this.#now)) this.#back()
    while (isBefore(this.#now, goal)) this.#forward()
  }

  /**
   * The last step done and its call; undefined before the first step, and after a call without
   * steps.
   */
  get last(): { readonly run: Run; readonly index: number } | undefined {
    const { call, step } = this.#now
    if (step > 0) return { run: this.runs[call], index: step - 1 }
    const run = this.runs[call - 1]
    return run === undefined || run.steps.length === 0
      ? undefined
      : { run, index: run.steps.length - 1 }
  }

  /** The call that the moment is in or directly after; undefined before the first. */
  get current(): Run | undefined {
    const { call, step } = this.#now
    return this.runs[step > 0 ? call : call - 1]
  }

  stepForward(): void {
    const { call, step } = this.#now
    const steps = this.runs[call]?.steps.length ?? 0
    this.go(steps === 0 ? { call: call + 1, step: 0 } : { call, step: step + 1 })
  }

  stepBack(): void {
    const { call, step } = this.#now
    if (step > 0) this.go({ call, step: step - 1 })
    else
      this.go({ call: call - 1, step: Math.max(0, (this.runs[call - 1]?.steps.length ?? 0) - 1) })
  }

  callForward(): void {
    this.go({ call: this.#now.call + 1, step: 0 })
  }

  callBack(): void {
    const { call, step } = this.#now
    this.go({ call: step > 0 ? call : call - 1, step: 0 })
  }

  /** Returns the heap at the current moment. */
  picture(): HeapPicture {
    const { call, step } = this.#now
    const run = this.runs[call - 1]
    const moved = this.runs[call]?.steps
      .slice(0, step)
      .findLast(({ high }) => high !== undefined)?.high
    return this.instrument.picture({
      words: this.#image,
      ...this.#blocks(),
      high: moved?.after ?? run?.high ?? this.#firstHigh,
      description: run === undefined ? this.#firstDescription : run.description
    })
  }

  /** The words of the heap at the current moment. */
  get words(): Int32Array {
    return this.#image
  }

  /** Returns the blocks that the program has after the completed calls. */
  live(): LiveBlock[] {
    return this.#blocks().live
  }

  #blocks(): { readonly live: LiveBlock[]; readonly freed: LiveBlock[] } {
    const blocks = new Map<number, LiveBlock>()
    const freed: LiveBlock[] = []
    const end = (owner: number) => {
      const block = blocks.get(owner)
      if (block !== undefined) freed.push(block)
      blocks.delete(owner)
    }
    for (const { call, variable, returned, error } of this.#runs.slice(0, this.#now.call)) {
      if (error !== undefined) continue
      const owner =
        variable >= 0 ? variable : 'of' in call && 'variable' in call.of ? call.of.variable : -1
      const isEnd = call.kind === 'free' || (call.kind === 'realloc' && call.size === 0)
      if (isEnd || returned) end(owner)
      if (!isEnd && returned && owner >= 0) {
        blocks.set(owner, { variable: owner, pointer: returned, size: sizeOfCall(call) })
      }
    }
    return { live: [...blocks.values()], freed }
  }

  // ---- inside -----------------------------------------------------------------------------------

  #perform(call: Call): Run {
    const player = this.#player
    const { recorder } = player
    const variable = makesVariable(call) ? this.#pointers.length : -1
    let returned: number | undefined
    let error: Run['error']
    recorder.begin()
    try {
      const result: unknown = this.#dispatch(call)
      if (call.kind !== 'free') returned = this.#checkPointer(result, call)
    } catch (thrown) {
      const isError = thrown instanceof Error
      error = {
        message: isError ? thrown.message : String(thrown),
        stack: isError ? (thrown.stack ?? '') : ''
      }
    }
    if (error === undefined) this.#keep(call, variable, returned ?? 0)
    else if (variable >= 0) this.#pointers.push(0)
    // This runs the allocator's code, which may store.
    const description = this.#describe()
    const steps = recorder.end()
    return { call, variable, steps, returned, error, high: player.high, description }
  }

  #dispatch(call: Call): unknown {
    const player = this.#player
    switch (call.kind) {
      case 'malloc':
        return player.malloc(call.size)
      case 'calloc':
        return player.calloc(call.count, call.size)
      case 'aligned':
        return player.alignedAlloc(call.alignment, call.size)
      case 'realloc':
        return player.realloc(this.#pointerOf(call.of), call.size)
      case 'free':
        return player.free(this.#pointerOf(call.of))
    }
  }

  /** Checks a returned pointer: a user's allocator may return anything. */
  #checkPointer(result: unknown, call: Call): number {
    const bytes = this.#player.recorder.words.byteLength
    // NULL is valid for any size.
    if (result === 0) return 0
    const isInside =
      typeof result === 'number' &&
      Number.isInteger(result) &&
      result > 0 &&
      result + sizeOfCall(call) <= bytes
    if (isInside) return result
    throw new Error(
      `${call.kind} returned ${String(result)}, but the memory has only ${bytes} bytes`
    )
  }

  /** Returns the allocator's description, or the error that `describe` threw. */
  #describe(): unknown {
    try {
      return this.#player.describe()
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  #pointerOf(of: Reference): number {
    return 'variable' in of ? (this.#pointers[of.variable] ?? 0) : of.pointer
  }

  /** Sets the variable, and fills the block like a program. */
  #keep(call: Call, variable: number, returned: number): void {
    if (variable >= 0) {
      this.#pointers.push(returned)
      if (returned !== 0 && call.kind !== 'calloc')
        this.#fill(returned, returned + sizeOfCall(call), variable)
      return
    }
    // A block that is given by its address belongs to no variable, and keeps its contents.
    if (call.kind !== 'realloc' || !('variable' in call.of)) return
    const owner = call.of.variable
    const before = this.live().find(block => block.variable === owner)
    // Fill only the bytes that realloc added.
    const kept = before === undefined ? 0 : Math.min(before.size, call.size)
    if (returned !== 0 || call.size === 0) this.#pointers[owner] = returned
    if (returned !== 0) this.#fill(returned + kept, returned + call.size, owner)
  }

  #fill(from: number, to: number, variable: number): void {
    if (this.fills && to > from)
      this.#player.recorder.fillPayload(from, to, FIRST_LETTER + (variable % LETTERS))
  }

  /**
   * Discards the calls after the current moment. Runs the others again on a new heap, because an
   * allocator may keep state outside its memory.
   */
  #forgetWhatFollows(): void {
    const { call, step } = this.#now
    const kept = step > 0 ? call + 1 : call
    if (kept < this.runs.length) this.#rerun(this.runs.slice(0, kept).map(run => run.call))
    else this.go({ call: kept, step: 0 })
  }

  #rerun(calls: readonly Call[]): void {
    this.#player = this.instrument.open()
    this.#image = this.#player.recorder.words.slice()
    this.#pointers = []
    this.#runs.length = 0
    this.#now = { call: 0, step: 0 }
    for (const call of calls) {
      this.#runs.push(this.#perform(call))
      this.go({ call: this.runs.length, step: 0 })
    }
  }

  #forward(): void {
    const { call, step } = this.#now
    const { steps } = this.runs[call]
    if (step < steps.length) {
      for (const { word, after } of steps[step].changes) this.#image[word] = after
    }
    this.#now = step + 1 >= steps.length ? { call: call + 1, step: 0 } : { call, step: step + 1 }
  }

  #back(): void {
    const { call, step } = this.#now
    const from = step > 0 ? call : call - 1
    const { steps } = this.runs[from]
    const index = step > 0 ? step - 1 : steps.length - 1
    if (index >= 0)
      for (const { word, before } of steps[index].changes.toReversed()) this.#image[word] = before
    this.#now = { call: from, step: Math.max(0, index) }
  }
}

/** Returns the number of bytes that a call requests. */
export function sizeOfCall(call: Call): number {
  return call.kind === 'free' ? 0 : call.kind === 'calloc' ? call.count * call.size : call.size
}

function isBefore(one: Moment, other: Moment): boolean {
  return one.call < other.call || (one.call === other.call && one.step < other.step)
}
