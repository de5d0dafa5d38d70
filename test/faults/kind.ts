/** A kind of misuse, and the outcome of an injection. */
import type { Scene } from './scene.js'

export interface Kind {
  /** The misuse in a few words; unique. */
  readonly name: string
  /** Why even a hardened heap can't detect it; undefined if it must. */
  readonly hopeless?: string
  /** A note for readers. */
  readonly note?: string
  /** If only these heaps can have it. */
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

/** When and how a fault was detected, or that it was not. */
export type Moment = 'at once' | 'next use' | 'check' | 'missed'

export interface Outcome {
  readonly moment: Moment
  /** The code of the error; '' if there was none. */
  readonly code: string
}
