/**
 * The short form of `node test/check.js fuzz`: every input of the corpus, and some made from them.
 * The long form is guided by coverage.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Translation, translateEvents } from '../../lib/trace/events.js'
import { startWatchdog, type Watchdog } from '../hang.js'
import { readCorpus } from './corpus.js'
import { writeRecording } from './events-target.js'
import { mutate, randomFrom } from './mutate.js'
import { seeds } from './seeds.js'
import { MAX_INPUT, type TargetName, targetNames, targets } from './targets.js'

const CORPUS = fileURLToPath(new URL('corpus.json.gz', import.meta.url))

/** The number of new inputs for each target. */
const MUTANTS: Readonly<Record<TargetName, number>> = {
  heap: 3000,
  trace: 300,
  events: 300,
  file: 300
}

let watchdog: Watchdog
beforeAll(() => {
  watchdog = startWatchdog()
})
afterAll(() => watchdog.stop())

describe.each(targetNames)('%s', name => {
  const target = targets[name]
  const corpus = readCorpus(CORPUS, name)

  test('has a corpus', () => {
    expect(corpus.size).toBeGreaterThan(5)
  })

  test('ends every input of the corpus with a value or a named error', async () => {
    for (const [file, input] of corpus) await run(name, input, file)
  })

  test('ends every mutated input with a value or a named error', async () => {
    const random = randomFrom(20_26)
    const inputs = [...corpus.values(), ...seeds[name]()]
    for (let i = 0; i < MUTANTS[name]; i++) {
      const input = inputs[random() % inputs.length] ?? new Uint8Array(0)
      const other = inputs[random() % inputs.length] ?? new Uint8Array(0)
      await run(name, mutate(input, other, MAX_INPUT[name], random), `made input ${i}`)
    }
  })

  // Except for hardened heaps, whose key is different each time.
  test('ends the same input the same way', async () => {
    for (const input of [...corpus.values()].filter(([kind = 0]) => kind < 128).slice(0, 20))
      expect(await target(input)).toEqual(await target(input))
  })
})

test('a recording whose header claims too many events ends with its file', async () => {
  const event = Buffer.alloc(24)
  event.writeUInt32LE(4096 * 8 + 1)
  const whole = Buffer.concat(Array.from({ length: 10 }, () => event))
  expect(await operationsIn(whole, 10)).toBe(await operationsIn(whole, 200_000))
})

/** The operations for these events, if the header claims `count` events. */
async function operationsIn(events: Uint8Array, promised: number): Promise<number> {
  const translation = new Translation()
  for await (const _ of translateEvents(writeRecording(events, promised), translation));
  return translation.operations
}

/** Runs an input; a finding names it. */
async function run(name: TargetName, input: Uint8Array, what: string): Promise<void> {
  watchdog.beat()
  try {
    await targets[name](input)
  } catch (error) {
    throw new Error(`${what}: ${Buffer.from(input).toString('base64')}`, { cause: error })
  }
}
