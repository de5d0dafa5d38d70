/**
 * A world of JavaScript for a submission alone: the language and nothing of Node. It has no
 * process, no modules, no timers, no clock but Date, and can't make code of strings, so the process
 * around it is out of reach. What it changes in its own world it can only harm itself with; that it
 * did is noticed all the same.
 */

import { constants, createContext, Script } from 'node:vm'
import { type FaceWords, makeConsole, makeDescriber, makeFace } from './face.js'
import { intrinsicsOf } from './intrinsics.js'
import type { Memory } from './memory.js'

/** The name under which the compiled submission puts its exports. */
export const EXPORTS = '__submission'
/** The file that its stacks name. */
export const SCRIPT = 'submission.js'

/** What an allocator needs none of, and could hide its books in or wait with. */
const NEEDLESS = ['WebAssembly', 'SharedArrayBuffer', 'Atomics', 'FinalizationRegistry', 'WeakRef']

export interface World {
  /**
   * Runs the script. Throws what it throws, and a `SyntaxError` when it is none. Returns what it
   * exports.
   */
  load(): unknown
  /** A `memory` over these bytes, made in that world. */
  face(
    heap: ArrayBuffer,
    control: Int32Array,
    at: FaceWords,
    low: number,
    counted?: Float64Array
  ): Memory
  /** An error of that world, or whatever was thrown, in words: a line, then the stack. */
  describe(thrown: unknown): string
  /** What of the language itself the submission replaced, as `Math.floor`; empty for nothing. */
  changed(): string[]
}

/** @param print hears what the submission prints */
export function makeWorld(code: string, pageSize: number, print: (text: string) => void): World {
  // Without interceptors on its globals, which would make every Math.max slow.
  const context = createContext(constants.DONT_CONTEXTIFY, {
    codeGeneration: { strings: false, wasm: false }
  })
  const evaluate = (text: string, filename: string): unknown =>
    new Script(text, { filename }).runInContext(context, { displayErrors: false })
  // The functions name nothing outside of themselves, so their text is all of them.
  const made = (make: (...args: never[]) => unknown) => callable(evaluate(`(${make})`, 'world'))
  const face = made(makeFace)
  const describe = callable(made(makeDescriber)())
  const console = made(makeConsole)(print)
  Object.defineProperty(context, 'console', { value: console, configurable: true, writable: true })
  for (const name of NEEDLESS) Reflect.deleteProperty(context, name)
  const bufferPrototype = evaluate('ArrayBuffer.prototype', 'world')
  const intrinsics = intrinsicsOf(context)
  return {
    load() {
      evaluate(code, SCRIPT)
      return Reflect.get(context, EXPORTS)
    },
    face(heap, control, at, low, counted) {
      // The prototype of a buffer leads to the functions of its world.
      if (typeof bufferPrototype === 'object') Object.setPrototypeOf(heap, bufferPrototype)
      const memory = face(heap, control, at, low, pageSize, counted)
      if (isMemory(memory)) return memory
      throw new TypeError('no memory was made')
    },
    describe: thrown => String(describe(thrown)),
    changed: () => intrinsics.changed()
  }
}

function callable(value: unknown): (...args: unknown[]) => unknown {
  if (typeof value !== 'function') throw new TypeError('expected a function')
  return (...args) => Reflect.apply(value, undefined, args)
}

function isMemory(value: unknown): value is Memory {
  return typeof value === 'object' && value !== null && 'sbrk' in value && 'dataView' in value
}
