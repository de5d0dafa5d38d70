/** What `offheap bench` and the processes that measure for it say to each other. */
import type { ContenderName } from './contenders.js'
import type { Work } from './work.js'

/** The first message to a process: what it measures. */
export interface Start {
  readonly contender: ContenderName
  readonly work: Work
}

/** The others: take samples for so long. */
export interface Take {
  readonly ms: number
}

/** `samples` is empty in the answer to Start. */
export type Answer = { readonly samples: readonly number[] } | { readonly error: string }
