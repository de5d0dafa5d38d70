/** The messages between `offheap bench` and the processes that measure for it. */
import type { ContenderName } from './contenders.js'
import type { Work } from './work.js'

/** The first message to a process: what to measure. */
export interface Start {
  readonly contender: ContenderName
  readonly work: Work
}

/** Each later message: take samples for this long. */
export interface Take {
  readonly ms: number
}

/** `samples` is empty in the answer to Start. */
export type Answer = { readonly samples: readonly number[] } | { readonly error: string }
