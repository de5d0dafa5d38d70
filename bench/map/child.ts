/**
 * One contender in a process of its own: `node child.js NAME ENTRIES BYTES`. Prints its figures as
 * JSON.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { MAKERS, type Subject } from './contenders.js'
import type { Figures } from './figures.js'

const [name = '', entriesText, bytesText] = process.argv.slice(2)
const entries = Number(entriesText)
const bytes = Number(bytesText)
/** The calls of each phase after the first. */
const calls = Math.min(entries * 20, 300_000)

let state = 1
function random(below: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * below)
}

/**
 * Numbers with the popularity of web pages: half of the uses are of a few (Zipf, exponent 0.99).
 */
function zipf(below: number): number {
  return Math.min(below - 1, Math.floor(below ** (random(1 << 24) / (1 << 24)) - 1))
}

const keyOf = (number: number): string => `user:${number}`
const filler = 'abcdefghijklmnopqrstuvwxyz'.repeat(Math.ceil(bytes / 26))

/** A value as in a program: a newly created string. */
const valueFor = (number: number): string => (String(number) + filler).slice(0, bytes)

/** Nanoseconds of processor time, of all threads: that of the collector is part of the cost. */
function time(subject: Subject, count: number, call: (index: number) => void): number {
  const before = process.cpuUsage()
  subject.all(() => {
    for (let i = 0; i < count; i++) call(i)
  })
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1000) / count
}

function collect(): void {
  if (globalThis.gc === undefined) throw new Error('run me with --expose-gc')
  globalThis.gc()
}

function must(value: string | undefined): void {
  if (value?.length !== bytes) throw new Error(`${name} lost a value`)
}

/** The entries of the map on which V8 learns the code that is measured. */
const WARM_ENTRIES = 20_000

/**
 * Makes each call often, in a growing map, so that V8 has compiled what is measured. The map has to
 * live on: V8 drops code that refers to collected objects.
 */
function warmUp(subject: Subject): Subject {
  subject.all(() => {
    for (let i = 0; i < 3 * WARM_ENTRIES; i++) {
      subject.set(keyOf(i % WARM_ENTRIES), valueFor(i))
      must(subject.get(keyOf(i % WARM_ENTRIES)))
      if (subject.get(`none:${i}`) !== undefined) throw new Error(`${name} found what is not there`)
      if (i % 100 === 0) subject.getMany?.([keyOf(0), keyOf(1)])
    }
  })
  return subject
}

async function measure(): Promise<Figures> {
  const make = MAKERS[name]
  if (make === undefined) throw new Error(`There is no contender ${name}`)
  const warm = warmUp(make(WARM_ENTRIES, bytes))
  collect()
  const rssBefore = process.memoryUsage().rss
  const subject = make(entries, bytes)
  const { getMany } = subject
  const insert = time(subject, entries, i => subject.set(keyOf(i), valueFor(i)))
  collect()
  const rss = (process.memoryUsage().rss - rssBefore) / 2 ** 20
  const pause = Math.min(
    ...[0, 1, 2].map(() => {
      const begin = performance.now()
      collect()
      return performance.now() - begin
    })
  )
  const hit = time(subject, calls, () => must(subject.get(keyOf(random(entries)))))
  const kept = Array.from({ length: Math.min(entries, 10_000) }, (_, i) => keyOf(i))
  const hitKept = time(subject, calls, i => must(subject.get(kept[i % kept.length] ?? '')))
  const miss = time(subject, calls, () => {
    if (subject.get(`none:${random(entries)}`) !== undefined)
      throw new Error(`${name} found what is not there`)
  })
  const many =
    getMany === undefined
      ? Number.NaN
      : time(subject, Math.ceil(calls / 64), () => {
          const keys: string[] = []
          for (let i = 0; i < 64; i++) keys.push(keyOf(random(entries)))
          for (const value of getMany(keys)) must(value)
        }) / 64
  const overwrite = time(subject, calls, () =>
    subject.set(keyOf(random(entries)), valueFor(random(entries)))
  )
  const mixed = time(subject, calls, () => {
    const number = zipf(entries)
    if (random(10) === 0) subject.set(keyOf(number), valueFor(number))
    else must(subject.get(keyOf(number)))
  })
  let longest = 0
  const observer = new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration)
  })
  observer.observe({ entryTypes: ['gc'] })
  // Set new keys; a cache evicts others.
  const churn = time(subject, Math.min(entries, calls), i =>
    subject.set(keyOf(entries + i), valueFor(i))
  )
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
  observer.disconnect()
  subject.close()
  warm.close()
  return { insert, hit, hitKept, miss, many, overwrite, mixed, churn, pause, longest, rss }
}

console.log(JSON.stringify(await measure()))
