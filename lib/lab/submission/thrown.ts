/** What a submission threw, as it comes out of its world: text, with the stack behind a NUL. */

import type { CodePlace } from './fault.js'
import type { Places } from './places.js'

export interface Thrown {
  /** `TypeError: x is not a function` */
  readonly message: string
  readonly stack: readonly CodePlace[]
  /** Whether calls had no room on the stack any more. */
  readonly isDeep: boolean
}

export function thrownFrom(text: string, places: Places): Thrown {
  const [message = '', stack = ''] = text.split('\0')
  return {
    message,
    stack: places.in(stack),
    isDeep: message.startsWith('RangeError: Maximum call stack')
  }
}
