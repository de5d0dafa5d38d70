/** A kind of misuse, and what became of an injection. */
import type { Scene } from './scene.js'

export interface Kind {
  /** What is done wrong, in a few words; unique. */
  readonly name: string
  /** Why a hardened heap can't tell it, for nobody could; undefined for what it must tell. */
  readonly hopeless?: string
  /** What a reader should know besides. */
  readonly note?: string
  /** For what only these heaps have. */
  readonly only?: 'hardened'
  /** At most so many injections, where each takes a process, a worker or a mapping. */
  readonly atMost?: number
  /**
   * Does it. What it throws was caught at once. It may return the next use of the block: what gives
   * it back, or hands its memory out again; what that throws was caught there.
   */
  inject(scene: Scene): (() => void) | undefined | void
}

/** When a fault was caught, and by what; or not. */
export type Moment = 'at once' | 'next use' | 'check' | 'missed'

export interface Outcome {
  readonly moment: Moment
  /** The code of the error; empty when there was none. */
  readonly code: string
}
