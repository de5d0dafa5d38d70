/**
 * Measures contenders at one size, each in a process of its own. All are ready before the first
 * sample; then they take turns, so that whatever slows the machine slows all of them.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { BASE, type ContenderName } from './contenders.js'
import type { Answer, Start, Take } from './process.js'
import { median, ratio, spread } from './statistics.js'
import type { Work } from './work.js'

export interface Figure {
  readonly contender: ContenderName
  /**
   * The median time in nanoseconds to free a block and allocate one. NaN if the contender failed.
   */
  readonly ns: number
  /** Half the distance between the quartiles, divided by the median. */
  readonly spread: number
  /**
   * How many times as fast as Buffer.alloc the contender is: the median over the rounds. NaN if one
   * of them failed.
   */
  readonly timesAsFast: number
  readonly samples: readonly number[]
  /** The reason if there are no samples. */
  readonly error?: string
}

export interface RaceOptions {
  readonly rounds: number
  /** The least milliseconds of each contender in a round. */
  readonly roundMs: number
  /** The Node binary of the processes. Default: this one. */
  readonly node?: string
  /** Called when a contender is ready, and after each of its rounds: `rounds` + 1 times. */
  onStep?(contender: ContenderName): void
}

export const DEFAULT_RACE = { rounds: 3, roundMs: 60 } as const

const PROCESS = fileURLToPath(new URL('./process.js', import.meta.url))

/** A contender that takes longer to answer has failed. */
const LIMIT_MS = 20_000

function ask(child: ChildProcess, message: Start | Take): Promise<Answer> {
  return new Promise(resolve => {
    const settle = (answer: Answer) => {
      clearTimeout(limit)
      child.off('message', settle).off('exit', onExit)
      resolve(answer)
    }
    const onExit = (code: number | null, signal: string | null) =>
      settle({ error: `its process ended with ${signal ?? `exit code ${code}`}` })
    const limit = setTimeout(() => settle({ error: `no answer in ${LIMIT_MS / 1000} s` }), LIMIT_MS)
    child.on('message', settle).on('exit', onExit)
    child.send(message)
  })
}

interface Runner {
  readonly contender: ContenderName
  readonly child: ChildProcess
  /** The samples of each round. */
  readonly rounds: (readonly number[])[]
  error: string | undefined
}

async function take({ child, rounds }: Runner, ms: number): Promise<string | undefined> {
  const answer = await ask(child, { ms })
  if ('error' in answer) return answer.error
  rounds.push(answer.samples)
  return undefined
}

function figureOf({ contender, rounds, error }: Runner, base: Runner | undefined): Figure {
  if (error !== undefined) {
    return {
      contender,
      ns: Number.NaN,
      spread: Number.NaN,
      timesAsFast: Number.NaN,
      samples: [],
      error
    }
  }
  const samples = rounds.flat()
  const timesAsFast =
    base?.error === undefined
      ? ratio((base?.rounds ?? []).map(median), rounds.map(median))
      : Number.NaN
  return { contender, ns: median(samples), spread: spread(samples), timesAsFast, samples }
}

/** Returns results in the order of `contenders`. One that fails has an error instead of samples. */
export async function race(
  contenders: readonly ContenderName[],
  work: Work,
  { rounds, roundMs, node = process.execPath, onStep }: RaceOptions
): Promise<Figure[]> {
  const runners: Runner[] = []
  try {
    for (const contender of contenders) {
      const child = fork(PROCESS, [], { execPath: node, execArgv: [] })
      const answer = await ask(child, { contender, work })
      runners.push({
        contender,
        child,
        rounds: [],
        error: 'error' in answer ? answer.error : undefined
      })
      onStep?.(contender)
    }
    for (let round = 0; round < rounds; round++) {
      for (const runner of runners) {
        if (runner.error === undefined) runner.error = await take(runner, roundMs)
        onStep?.(runner.contender)
      }
    }
  } finally {
    for (const { child } of runners) child.kill()
  }
  const base = runners.find(({ contender }) => contender === BASE)
  return runners.map(runner => figureOf(runner, base))
}
