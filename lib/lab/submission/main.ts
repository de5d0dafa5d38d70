/**
 * The process that runs a submission, and nothing else. It executes the commands that the judge
 * writes into the channel, until it is killed. Before the first line of the submission runs, the
 * process loads everything that it will need, and gives up all other rights.
 *
 * Its argument is `Settings`, as JSON.
 */

import { readFileSync, writeSync } from 'node:fs'
import { addon } from '../../memory/addon.js'
import { builtIn } from './built-in.js'
import {
  AFRESH,
  ALIGNMENT,
  CALLOCS,
  CHANGED,
  CHECK,
  Channel,
  COMMAND,
  CONFINED,
  COUNTING,
  CREATE,
  CREATING,
  DIAGNOSE,
  DONE,
  FAULT,
  FINE,
  FROM,
  GROWTH,
  HEAP_WORDS,
  HEAPS,
  HIGH,
  heapRoom,
  IDS,
  INSTANCE,
  INSTANCES,
  INTERVAL,
  LIMIT,
  LOADING,
  MODE,
  MOST,
  NEEDS_CALLOC,
  NO_POINTER,
  OPERATION,
  REFUSED,
  RUN,
  SPINS,
  STATUS,
  THREW,
  TURN,
  UNTIL,
  WATCH,
  WRITERS
} from './channel.js'
import { diagnose } from './diagnose.js'
import { type Fault, FaultFound } from './fault.js'
import { growth } from './growth.js'
import { allocatorOf, createOf } from './load.js'
import { type Allocator, type Create, LabMemory, type Memory } from './memory.js'
import { Places } from './places.js'
import { makeReplay } from './replay.js'
import { makeWorld } from './world.js'

/** The file descriptors of the channel and of the heaps. */
const CHANNEL_FD = 3
const HEAPS_FD = 4
/** Milliseconds between two checks that the judge's process still exists. */
const PATIENCE = 1000

interface Settings {
  /** The path of the compiled script; empty for the built-in heap. */
  readonly script: string
  readonly sources: readonly string[]
  /** The most bytes that `sbrk` hands out. */
  readonly limit: number
  readonly operations: number
  /** The most bytes of memory besides the heaps. */
  readonly memory: number
  /** The most seconds of processor time. */
  readonly seconds: number
}

const settings: Settings = JSON.parse(process.argv[2] ?? '')
const { lab: native, pageSize } = addon()
const { limit, operations } = settings
const channel = new Channel(native.share(CHANNEL_FD, 0, Channel.bytesFor(operations)), operations)
const { words, counted } = channel
const room = heapRoom(limit)
const pointers = Array.from({ length: INSTANCES }, () => new Int32Array(operations))
const parent = process.ppid

// Stacks must reach from deep inside the watched views to the student's lines.
Error.stackTraceLimit = 40
const code = settings.script === '' ? '' : readFileSync(settings.script, 'utf8')
const places = new Places(code, settings.sources)

/**
 * Everything in which a submission could keep state from one trace to the next: its context, and
 * its buffers. The loop that calls it is also compiled again, so that V8's feedback about one
 * allocator does not slow down another.
 */
function makeStage() {
  const heaps = Array.from({ length: INSTANCES }, (_, i) => native.share(HEAPS_FD, i * room, room))
  const allocators: (Allocator | undefined)[] = heaps.map(() => undefined)
  return {
    heaps,
    stamped: heaps.map(heap => new Int32Array(heap)),
    allocators,
    world: makeWorld(code, pageSize, text => writeSync(1, text)),
    replay: makeReplay()
  }
}

let stage = makeStage()

words[CONFINED] = native.confine(settings.memory, settings.seconds)

let create: Create | undefined

function loaded(): Create {
  create ??= createOf(stage.world.load())
  return create
}

/** Returns the indexes of a heap's state in the channel's words. */
function wordsOf(instance: number) {
  const at = HEAPS + instance * HEAP_WORDS
  return { high: at + HIGH, refused: at + REFUSED, limit: at + LIMIT }
}

/** Empties and clears the first heap, and returns a `memory` for it. */
function renew(): Memory {
  const at = wordsOf(0)
  const { heaps, world } = stage
  new Uint8Array(heaps[0]).fill(0, 0, words[at.high])
  words[at.high] = pageSize
  words[at.limit] = limit
  return world.face(heaps[0], words, at, pageSize)
}

let watched: LabMemory | undefined

/**
 * The memory of all watched runs. It is reused, because pages are unmapped in a turn of the event
 * loop, and there is none here. A submission can't get its buffer.
 */
function watchedMemory(): LabMemory {
  watched ??= new LabMemory(limit)
  return watched
}

/** The outcome of a command: a status, and text. */
type Answer = readonly [status: number, text?: string]

function told(fault: Fault | undefined): Answer {
  return fault === undefined ? [FINE] : [FAULT, JSON.stringify(fault)]
}

function obey(): Answer {
  const instance = words[INSTANCE]
  const { allocators, stamped, world } = stage
  switch (words[COMMAND]) {
    case CREATE:
      return made(instance)
    case RUN: {
      const allocator = allocators[instance]
      if (allocator === undefined) return [THREW, 'no allocator']
      const odd = stage.replay(
        channel,
        allocator,
        stamped[instance],
        pointers[instance],
        words[FROM],
        words[UNTIL]
      )
      return odd === undefined ? [FINE] : [NO_POINTER, odd]
    }
    case CHECK: {
      const said: unknown = allocators[instance]?.check?.()
      if (said === false) return [FINE, 'false']
      return [FINE, typeof said === 'string' ? `:${said}` : '']
    }
    case DIAGNOSE:
      return told(
        diagnose(world, loaded(), channel, {
          places,
          lab: watchedMemory(),
          until: words[UNTIL],
          most: words[MOST],
          watch: words[WATCH],
          checkInterval: words[INTERVAL],
          alignment: words[ALIGNMENT],
          needsCalloc: words[NEEDS_CALLOC] === 1,
          writers: words[WRITERS] === 1
        })
      )
    case GROWTH:
      return told(growth(loaded, renew, words))
    case CHANGED:
      return [FINE, world.changed().join('\n')]
    case AFRESH:
      stage = makeStage()
      create = undefined
      return [FINE]
    default:
      return [FINE]
  }
}

function made(instance: number): Answer {
  const { allocators, heaps, world } = stage
  pointers[instance].fill(0, 0, words[IDS])
  if (settings.script === '') {
    allocators[instance] = builtIn(heaps[instance])
    return [FINE]
  }
  words[OPERATION] = LOADING
  const make = loaded()
  words[OPERATION] = CREATING
  counted[0] = 0
  const counts = words[MODE] === COUNTING ? counted : undefined
  const face = world.face(heaps[instance], words, wordsOf(instance), pageSize, counts)
  const allocator = allocatorOf(make(face))
  words[CALLOCS] = typeof allocator.calloc === 'function' ? 1 : 0
  allocators[instance] = allocator
  return [FINE]
}

function answer(): Answer {
  try {
    return obey()
  } catch (error) {
    return error instanceof FaultFound ? told(error.fault) : [THREW, stage.world.describe(error)]
  }
}

for (let turn = 0; ; ) {
  const next = native.wait(channel.buffer, TURN, turn, words[SPINS], PATIENCE)
  if (next === turn) {
    // The process that started this one has ended.
    if (process.ppid !== parent) process.exit()
    continue
  }
  turn = next
  const [status, text = ''] = answer()
  words[STATUS] = status
  channel.text = text
  native.post(channel.buffer, DONE, turn)
}
