/** Checks the exports of a submission, and the allocator that its `create` returns. */

import { FaultFound, faultOf } from './fault.js'
import { HINTS } from './hints.js'
import type { Allocator, Create, Memory } from './memory.js'

/** Returns the `create` of a submission's module, or its default export. Throws `FaultFound`. */
export function createOf(module: unknown): Create {
  if (typeof module !== 'object' || module === null) {
    throw new FaultFound(faultOf('load', 'the submission is no module'))
  }
  for (const name of ['create', 'default']) {
    const create: unknown = Reflect.get(module, name)
    if (typeof create === 'function')
      return (memory: Memory) => Reflect.apply(create, undefined, [memory])
  }
  const names = Object.keys(module)
  const found = names.length === 0 ? 'It exports nothing' : `It exports ${names.join(', ')}`
  throw new FaultFound(
    faultOf('load', 'the submission exports no function "create"', {
      details: [`${found}.`],
      hint: 'export function create(memory: Memory): Allocator { … }'
    })
  )
}

/** Checks what `create` returned, and returns it as an allocator. Throws `FaultFound`. */
export function allocatorOf(made: unknown): Allocator {
  if (isAllocator(made)) return made
  const isAsync = Object.prototype.toString.call(made) === '[object Promise]'
  throw new FaultFound(
    faultOf(
      'load',
      isAsync
        ? 'create(memory) returned a Promise'
        : 'create(memory) must return an object with the functions malloc, free and realloc',
      { hint: isAsync ? HINTS.async : 'end create with: return { malloc, free, realloc }' }
    )
  )
}

/** A calloc is optional, but must be a function. */
function isAllocator(value: unknown): value is Allocator {
  if (typeof value !== 'object' || value === null) return false
  const isFunction = (name: string) => typeof Reflect.get(value, name) === 'function'
  if (Reflect.get(value, 'calloc') !== undefined && !isFunction('calloc')) return false
  return ['malloc', 'free', 'realloc'].every(isFunction)
}
