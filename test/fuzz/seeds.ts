/**
 * Inputs to begin with, made by the library itself: heaps of every kind with blocks in them,
 * traces, recordings.
 */
import { gzipSync } from 'node:zlib'
import { Heap } from '../../lib/index.js'
import { HEADER_BYTES, PATCH_BYTES } from './file-target.js'
import { ATTACH, bytesFor, optionsFor, STEP_BYTES } from './heap-target.js'
import { type Random, randomFrom } from './mutate.js'
import type { TargetName } from './targets.js'

/** Steps of a program on a heap: calls by number, and their arguments. */
function program(steps: number, random: Random): Uint8Array {
  const bytes = new Uint8Array(steps * STEP_BYTES)
  for (let step = 0; step < steps; step++) {
    // Half of them allocate and free.
    bytes[step * STEP_BYTES] = random() % 2 === 0 ? random() % 5 : random()
    bytes[step * STEP_BYTES + 1] = random() % 64
    const value = random() % 3 === 0 ? random() : random() % 1000
    for (let i = 0; i < 4; i++) bytes[step * STEP_BYTES + 2 + i] = value >>> (i * 8)
  }
  return bytes
}

/** The bytes of a small heap in use. */
function image(kind: number, random: Random): Uint8Array {
  const heap = Heap.format(new ArrayBuffer(bytesFor(kind)), optionsFor(kind))
  const pointers: number[] = []
  for (let i = 0; i < 60; i++) {
    const pointer = heap.malloc(random() % (i % 5 === 0 ? 300 : 40))
    if (pointer !== 0) pointers.push(pointer)
    if (random() % 3 === 0 && pointers.length > 0)
      heap.free(pointers.splice(random() % pointers.length, 1)[0] ?? 0)
  }
  heap.root = pointers[0] ?? 0
  return heap.u8
}

/** A program for each kind of heap, on a new one or on one in use. */
function heapSeeds(): Uint8Array[] {
  const random = randomFrom(1)
  return Array.from({ length: 256 }, (_, kind) => {
    const start = (kind & ATTACH) !== 0 ? image(kind, random) : new Uint8Array(0)
    return Buffer.concat([Uint8Array.of(kind, 40), program(40, random), start])
  })
}

const TEXT =
  '1024\n3\n7\n1\na 0 512 # a comment\r\nc 1 4 16\nm 2 64 100\n' + 'r 0 640\nf 1\nr 0 0\nf -1\n'

function traceSeeds(): Uint8Array[] {
  const long = Array.from({ length: 60 }, (_, i) => `a ${i} ${i * 100}\nr ${i} ${i * 150}\n`).join(
    ''
  )
  const texts = [
    TEXT,
    long,
    'a 16777216 1\na 9007199254740991 0\nf 16777216\n',
    '\ufeffa 0 1\n',
    '',
    'a',
    '-1\n0\n'
  ]
  return texts.flatMap(text => [Buffer.from(text), gzipSync(text)])
}

function eventSeeds(): Uint8Array[] {
  const random = randomFrom(2)
  return [1, 2, 3, 4].map(span => {
    const events = Buffer.alloc(40 * 24)
    for (let i = 0; i < 40; i++) {
      const kind = 1 + (random() % 6)
      events.writeUInt32LE((random() % (span * 8)) * 8 + kind, i * 24)
      events.writeUInt32LE(random() % 300, i * 24 + 8)
      events.writeUInt32LE(kind === 6 ? random() % 40 : 2 ** (random() % 8), i * 24 + 16)
    }
    return new Uint8Array(events)
  })
}

/** A file of each kind, intact and damaged. */
function fileSeeds(): Uint8Array[] {
  const random = randomFrom(3)
  return Array.from({ length: 128 }, (_, i) => {
    const patches = i < 64 ? i % 3 : 1 + (random() % 20)
    const bytes = new Uint8Array(HEADER_BYTES + patches * PATCH_BYTES)
    for (let at = 1; at < bytes.length; at++)
      bytes[at] = random() % 4 === 0 ? random() : random() % 8
    bytes[0] = i % 64
    return bytes
  })
}

export const seeds: Readonly<Record<TargetName, () => Uint8Array[]>> = {
  heap: heapSeeds,
  trace: traceSeeds,
  events: eventSeeds,
  file: fileSeeds
}
