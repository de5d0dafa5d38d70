/**
 * Compares contenders: each runs in its own process, all are ready before the first sample, then
 * each takes one sample per round, one after another. Only one process works at a time.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { environmentFor } from '../contenders/native.js'
import { CHILD } from '../paths.js'
import type { Answer, Entry, Facts, Measurement, Question } from './entry.js'

export interface MeasureOptions {
  readonly rounds: number
  /** Least milliseconds of a sample. */
  readonly sampleMs: number
  /** The Node binary of the processes. */
  readonly node: string
  /** Called after each sample and each start. */
  onStep?(entry: Entry): void
}

/** A process that needs longer for an answer hangs, however busy the machine is. */
const LIMIT_MS = 600_000

function ask(child: ChildProcess, message: Entry | Question): Promise<Answer> {
  return new Promise(resolve => {
    const limit = setTimeout(() => {
      child.kill()
      settle({
        error: `took longer than ${LIMIT_MS / 1000} s to start or for a sample, and was stopped`
      })
    }, LIMIT_MS)
    const settle = (answer: Answer) => {
      clearTimeout(limit)
      child.off('message', settle)
      child.off('exit', onExit)
      resolve(answer)
    }
    const onExit = (code: number | null, signal: string | null) => {
      settle({ error: `the process ended with ${signal ?? `exit code ${code}`}` })
    }
    child.on('message', settle)
    child.on('exit', onExit)
    child.send(message)
  })
}

interface Runner {
  readonly entry: Entry
  readonly child: ChildProcess
  readonly samples: number[]
  facts: Facts
  error: string | undefined
}

async function start(entry: Entry, node: string): Promise<Runner> {
  const env = environmentFor(entry.contender)
  const child = fork(CHILD, [], { execPath: node, execArgv: [], env })
  const answer = await ask(child, entry)
  const facts = 'facts' in answer ? answer.facts : {}
  return { entry, child, samples: [], facts, error: 'error' in answer ? answer.error : undefined }
}

async function round(runner: Runner, sampleMs: number): Promise<void> {
  if (runner.error !== undefined) return
  const answer = await ask(runner.child, { sampleMs })
  if ('ns' in answer) runner.samples.push(answer.ns)
  else if ('error' in answer) runner.error = answer.error
}

function result(
  { contender, work }: Entry,
  samples: number[],
  facts: Facts[],
  error: string | undefined
): Measurement {
  if (error === undefined) return { contender, work, samples, facts }
  return { contender, work, samples: [], facts: [], error }
}

/** Compares the entries. A contender that fails has an error instead of samples. */
export async function measure(
  entries: readonly Entry[],
  options: MeasureOptions
): Promise<Measurement[]> {
  const runners: Runner[] = []
  try {
    for (const entry of entries) {
      runners.push(await start(entry, options.node))
      options.onStep?.(entry)
    }
    for (let i = 0; i < options.rounds; i++) {
      for (const runner of runners) {
        await round(runner, options.sampleMs)
        options.onStep?.(runner.entry)
      }
    }
  } finally {
    for (const { child } of runners) child.kill()
  }
  return runners.map(({ entry, samples, facts, error }) => result(entry, samples, [facts], error))
}

/** Races work that a process does only once: each contender gets a new process in each round. */
export async function measureOnce(
  entries: readonly Entry[],
  options: MeasureOptions
): Promise<Measurement[]> {
  const facts = new Map<Entry, Facts[]>(entries.map(entry => [entry, []]))
  const errors = new Map<Entry, string>()
  for (let i = 0; i < options.rounds; i++) {
    for (const [entry, collected] of facts) {
      const runner = await start({ ...entry, once: true }, options.node)
      runner.child.kill()
      if (runner.error === undefined) collected.push(runner.facts)
      else errors.set(entry, runner.error)
      options.onStep?.(entry)
    }
  }
  return [...facts].map(([entry, collected]) => result(entry, [], collected, errors.get(entry)))
}
