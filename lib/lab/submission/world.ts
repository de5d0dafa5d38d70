/**
 * A separate JavaScript context for a submission: the language, and nothing of Node. It has no
 * process, no modules, no timers and no clock but Date, and it can't evaluate strings as code, so
 * the surrounding process is out of reach. A submission that changes its own context can harm only
 * itself, but the change is detected.
 */

import { constants, createContext, Script } from 'node:vm'
import { type FaceWords, makeConsole, makeDescriber, makeFace } from './face.js'
import { intrinsicsOf } from './intrinsics.js'
import type { Memory } from './memory.js'

/** The name of the global with the exports of the compiled submission. */
export const EXPORTS = '__submission'
/** The file name in its stacks. */
export const SCRIPT = 'submission.js'

/** Globals that an allocator does not need, but could use to hide state or to wait. */
const NEEDLESS = ['WebAssembly', 'SharedArrayBuffer', 'Atomics', 'FinalizationRegistry', 'WeakRef']

export interface World {
  /**
   * Runs the script, and returns its exports. Throws what it throws, or a `SyntaxError` if it is
   * not a script.
   */
  load(): unknown
  /** Creates a `memory` for these bytes, in the context. */
  face(
    heap: ArrayBuffer,
    control: Int32Array,
    at: FaceWords,
    low: number,
    counted?: Float64Array
  ): Memory
  /** Describes what was thrown in the context: the message, NUL, the stack. */
  describe(thrown: unknown): string
  /** Returns the built-ins that the submission replaced, such as `Math.floor`. */
  changed(): string[]
}

/**
 * @param print receives what the submission prints
 */
export function makeWorld(code: string, pageSize: number, print: (text: string) => void): World {
  // No interceptors on the globals: they would slow down every Math.max.
  const context = createContext(constants.DONT_CONTEXTIFY, {
    codeGeneration: { strings: false, wasm: false }
  })
  const evaluate = (text: string, filename: string): unknown =>
    new Script(text, { filename }).runInContext(context, { displayErrors: false })
  // The functions refer to nothing outside themselves, so their source text is enough.
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
      // The prototype of a buffer leads to the functions of its own context.
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
