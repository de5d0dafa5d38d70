/** A kind of misuse, and what became of an injection. */
import type { Scene } from './scene.js'

export interface Kind {
  /** What is done wrong, in a few words; unique. */
  readonly name: string
  /** Why even a hardened heap can't detect it; undefined if it must. */
  readonly hopeless?: string
  /** What a reader should know besides. */
  readonly note?: string
  /** For what only these heaps have. */
  readonly only?: 'hardened'
  /** The most injections, if each needs a process, a worker or a mapping. */
  readonly atMost?: number
  /**
   * Injects it. An error that it throws counts as detected at once. It may return the next use of
   * the block, which frees it or allocates its memory again; an error of that counts as detected
   * there.
   */
  inject(scene: Scene): (() => void) | undefined | void
}

/** When a fault was caught, and by what; or not. */
export type Moment = 'at once' | 'next use' | 'check' | 'missed'

export interface Outcome {
  readonly moment: Moment
  /** The code of the error; '' if there was none. */
  readonly code: string
}
