/**
 * The process that runs the inputs of one target, until its time is over. It writes each input to a
 * file first, so that its parent knows which one crashed or hangs.
 */
import { ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { nameOf, readCorpus, writeCorpus } from './corpus.js'
import { Coverage } from './coverage.js'
import { mutate, randomFrom } from './mutate.js'
import { seeds } from './seeds.js'
import { MAX_INPUT, type TargetName, targetNames, targets } from './targets.js'

/** What the child tells its parent once a second. */
export interface Report {
  readonly executions: number
  readonly inputs: number
  readonly reached: number
  /** The most blocks of code that one input ran. */
  readonly mostSteps: number
  readonly findings: number
}

/** Findings of one kind count as one. Stops after this many kinds. */
const ENOUGH = 20

const [name, seconds, seed, corpus, findings, current, save] = process.argv.slice(2)
const found = targetNames.find(known => known === name)
if (found === undefined) throw new Error(`no such target: ${name}`)
await fuzz(found)

async function fuzz(target: TargetName): Promise<void> {
  const run = targets[target]
  const coverage = new Coverage()
  const random = randomFrom(Number(seed))
  const file = openSync(current, 'w')
  const kinds = new Set<string>()
  const inputs: Uint8Array[] = []
  let executions = 0
  let mostSteps = 0

  const execute = async (input: Uint8Array): Promise<void> => {
    ftruncateSync(file)
    writeSync(file, input, 0, input.length, 0)
    executions++
    try {
      await run(input)
    } catch (error) {
      note(input, error)
    }
    const { fresh, steps } = coverage.take()
    if (steps > mostSteps) {
      mostSteps = steps
      writeFileSync(`${current}-longest`, input)
    }
    if (fresh) inputs.push(input)
  }
  const note = (input: Uint8Array, error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const kind = text.replace(/\d+/g, '')
    if (kinds.has(kind)) return
    kinds.add(kind)
    const path = join(findings, `${target}-${nameOf(input)}`)
    writeFileSync(path, input)
    const cause =
      error instanceof Error && error.cause instanceof Error ? `\n${error.cause.stack}` : ''
    console.error(`${path}\n${text}${cause}\n`)
  }
  const report = (): void => {
    process.send?.({
      executions,
      inputs: inputs.length,
      reached: coverage.reached,
      mostSteps,
      findings: kinds.size
    })
  }

  coverage.forget()
  for (const input of [...readCorpus(corpus, target).values(), ...seeds[target]()])
    await execute(input)
  const end = Date.now() + Number(seconds) * 1000
  for (let told = 0; Date.now() < end && kinds.size < ENOUGH; ) {
    const input = inputs[random() % inputs.length] ?? new Uint8Array(0)
    const other = inputs[random() % inputs.length] ?? new Uint8Array(0)
    await execute(mutate(input, other, MAX_INPUT[target], random))
    if (Date.now() - told < 1000) continue
    told = Date.now()
    report()
    await setImmediate()
  }
  if (save === 'save') writeCorpus(corpus, target, await smallest(inputs))
  report()

  /** The shortest inputs that together reach everything that these reach. */
  async function smallest(all: readonly Uint8Array[]): Promise<Uint8Array[]> {
    coverage.forget()
    const kept: Uint8Array[] = []
    for (const input of [...all].sort((a, b) => a.length - b.length)) {
      await Promise.resolve(run(input)).catch(() => {})
      if (coverage.take().first) kept.push(input)
    }
    return kept
  }
}
