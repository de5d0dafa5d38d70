/** Makes injections, each into a busy heap that is then restored, and counts the outcomes. */
import type { HeapOptions } from '../../lib/index.js'
import type { Kind, Moment, Outcome } from './kind.js'
import { NoPlace, Random } from './random.js'
import { Scene } from './scene.js'

/** The number of injections that share a busy heap. */
const SHARED = 200

export interface Tally {
  readonly kind: Pick<Kind, 'name' | 'hopeless' | 'note'>
  readonly times: number
  readonly moments: Readonly<Record<Moment, number>>
  /** The codes of the errors, most frequent first. */
  readonly codes: readonly string[]
}

/**
 * Makes up to `times` injections of one kind. Throws if an injection ends in anything but a named
 * error or no error.
 * @param onInjection called before each
 */
export function runKind(
  kind: Kind,
  options: HeapOptions,
  times: number,
  seed: number,
  onInjection: () => void
): Tally {
  const outcomes: Outcome[] = []
  if (kind.only === 'hardened' && options.hardened !== true) return tallyOf(kind, outcomes)
  const count = Math.min(times, kind.atMost ?? times)
  let scene = new Scene(options, new Random(seed))
  for (let i = 0; i < count; i++) {
    if (i % SHARED === 0) scene = new Scene(options, new Random(seed, i))
    onInjection()
    let outcome = injectOnce(kind, scene, seed, i)
    for (let other = 1; outcome === undefined; other++) {
      scene = new Scene(options, new Random(seed, i, other))
      outcome = injectOnce(kind, scene, seed, i)
    }
    outcomes.push(outcome)
  }
  return tallyOf(kind, outcomes)
}

export function tallyOf(kind: Tally['kind'], outcomes: readonly Outcome[]): Tally {
  const moments = { 'at once': 0, 'next use': 0, check: 0, missed: 0 }
  const codes = new Map<string, number>()
  for (const { moment, code } of outcomes) {
    moments[moment]++
    if (code !== '') codes.set(code, (codes.get(code) ?? 0) + 1)
  }
  const frequent = [...codes].sort((a, b) => b[1] - a[1]).map(([code]) => code)
  return { kind, times: outcomes.length, moments, codes: frequent }
}

/** One injection; undefined if this heap has no place for it. */
function injectOnce(kind: Kind, scene: Scene, seed: number, i: number): Outcome | undefined {
  scene.restore(new Random(seed, i))
  try {
    return outcomeOf(kind, scene)
  } catch (error) {
    if (error instanceof NoPlace) return undefined
    throw new Error(`"${kind.name}", injection ${i} (seed ${seed}), ended with ${String(error)}`, {
      cause: error
    })
  }
}

function outcomeOf(kind: Kind, scene: Scene): Outcome {
  let next: (() => void) | undefined
  const steps: [Moment, () => void][] = [
    ['at once', () => (next = kind.inject(scene) ?? undefined)],
    ['next use', () => next?.()],
    ['check', () => scene.heap.check()],
    ['check', () => scene.finish()]
  ]
  for (const [moment, step] of steps) {
    try {
      step()
    } catch (error) {
      return { moment, code: codeOf(error) }
    }
  }
  return { moment: 'missed', code: '' }
}

const NAMED = /^(ERR_OFFHEAP_\w+|ERR_OUT_OF_RANGE|ERR_INVALID_ARG_TYPE|OFFHEAP_LEAK|TypeError)$/

/** The code of an error of offheap. Rethrows any other error. */
export function codeOf(error: unknown): string {
  if (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    NAMED.test(error.code)
  ) {
    return error.code
  }
  throw error
}
