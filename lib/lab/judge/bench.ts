/**
 * What the processes of one grading share: the channel, the heaps, the case. Only one process at a
 * time works on a channel. The reference allocator and the built-in heap have their own channel and
 * heaps.
 */

import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { addon } from '../../memory/addon.js'
import { Channel, heapRoom, INSTANCES, shared } from '../submission/channel.js'
import type { Case } from './job.js'
import type { StartRequest } from './processes.js'
import { Gone, Seat } from './seat.js'
import { SharedHeap } from './shared-heap.js'

const MIB = 2 ** 20
/** The bytes for Node itself, stacks and buffers, besides the heaps and JavaScript objects. */
const SLACK = 1024 * MIB
/** Seconds of processor time after which the system ends a process, if the judge fails to. */
const SECONDS = 3600
/** How often a process is reset. Each reset maps the heaps again; only its end unmaps them. */
const MOST_RENEWALS = 100

export class Bench {
  readonly channel: Channel
  readonly heaps: readonly SharedHeap[]
  readonly #files: readonly number[]
  readonly #case: Case
  readonly #operations: number
  readonly #slots: Int32Array
  readonly #next: () => number
  readonly #post: (request: StartRequest) => void
  #seat: Seat | undefined
  #script = ''
  #renewals = 0

  /**
   * @param operations that the channel has room for
   * @param next returns an unused slot
   */
  constructor(
    grading: Case,
    operations: number,
    slots: Int32Array,
    next: () => number,
    post: (request: StartRequest) => void
  ) {
    const room = heapRoom(grading.memory)
    const channelFile = sharedFile(Channel.bytesFor(operations))
    const heapsFile = sharedFile(room * INSTANCES)
    this.#files = [channelFile, heapsFile]
    this.#case = grading
    this.#operations = operations
    this.#slots = slots
    this.#next = next
    this.#post = post
    const native = shared()
    const { pageSize } = addon()
    this.channel = new Channel(
      native.share(channelFile, 0, Channel.bytesFor(operations)),
      operations
    )
    this.heaps = Array.from({ length: INSTANCES }, (_, i) => {
      const buffer = native.share(heapsFile, i * room, room)
      return new SharedHeap(buffer, this.channel.words, i, pageSize, grading.memory)
    })
  }

  /**
   * Returns a process that has not run any of this script yet; '' is the built-in heap. Resets the
   * current process, unless that has ended.
   */
  sit(script: string): Seat {
    const seat = this.#again(script) ?? this.#start(script)
    this.#seat = seat
    this.#script = script
    for (const heap of this.heaps) heap.clear()
    return seat
  }

  /** Ends the current process, if there is one, so that the next one is new. */
  dismiss(): void {
    this.#seat?.end()
    this.#seat = undefined
  }

  #again(script: string): Seat | undefined {
    const seat = this.#seat
    if (seat?.alive === true && script === this.#script && this.#renewals < MOST_RENEWALS) {
      try {
        seat.renew()
        this.#renewals++
        return seat
      } catch (error) {
        if (!(error instanceof Gone)) throw error
      }
    }
    this.dismiss()
    this.#renewals = 0
    return undefined
  }

  #start(script: string): Seat {
    const { sources, memory, javascript } = this.#case
    const settings = {
      script,
      sources,
      limit: memory,
      operations: this.#operations,
      memory: 2 * memory + 2 * javascript + SLACK,
      seconds: SECONDS
    }
    const request = {
      slot: this.#next(),
      settings: JSON.stringify(settings),
      channel: this.#files[0] ?? -1,
      heaps: this.#files[1] ?? -1,
      javascript: Math.ceil(javascript / MIB),
      folder: dirname(script === '' ? this.#case.script : script)
    }
    return new Seat(this.channel, this.#slots, request, this.#post)
  }

  /** The bytes of the heaps' file that are allocated beyond the end of every heap. */
  excess(): number {
    const used = this.heaps.reduce((sum, heap) => sum + heap.peak, 0)
    return fstatSync(this.#files[1] ?? -1).blocks * 512 - used
  }

  close(): void {
    for (const file of this.#files) closeSync(file)
  }
}

/** Creates a file without a name, in memory where the system supports that. */
function sharedFile(bytes: number): number {
  let folder: string
  try {
    folder = mkdtempSync('/dev/shm/offheap-lab-')
  } catch {
    folder = mkdtempSync(join(tmpdir(), 'offheap-lab-'))
  }
  try {
    const file = openSync(join(folder, 'shared'), 'wx+', 0o600)
    ftruncateSync(file, bytes)
    return file
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
