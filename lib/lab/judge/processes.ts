/**
 * Starts and ends the processes of submissions for the judge, whose thread blocks and can't read
 * their output. A process has no rights, no environment and its own process group, and is killed
 * with the whole group.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** A request from the judge's thread. */
export interface StartRequest {
  readonly slot: number
  /** The argument of submission/main.ts. */
  readonly settings: string
  readonly channel: number
  readonly heaps: number
  /** MiB of JavaScript objects. */
  readonly javascript: number
  /** The folder of the compiled script. */
  readonly folder: string
}

/** The words of a slot, which both threads share. */
export const SLOT_WORDS = 4
export const PID = 0
/** How the process ended: one of the values below. */
export const END = 1
export const SIGNAL = 2
export const SLOTS = 4096

/** Not yet. */
export const RUNNING = 0
export const ENDED = 1
/** V8 ran out of memory for JavaScript objects. */
export const EXHAUSTED = 2

/** The beginning of V8's report when it aborts, and its text if it ran out of memory. */
const DEATH = /\n?<--- Last few GCs --->|\n?#\n# Fatal |FATAL ERROR: /
const OUT_OF_MEMORY = /out of memory|invalid size error|Allocation failed/
/** The most characters of a submission's output that are passed on. */
const MOST_OUTPUT = 2 ** 20

const MAIN = fileURLToPath(new URL('../submission/main.js', import.meta.url))
/** The package's folder, with the code and the addon. */
const PACKAGE = dirname(dirname(dirname(dirname(MAIN))))

export class Processes {
  readonly #alive = new Set<ChildProcess>()
  readonly #words: Int32Array
  readonly #onOutput: (text: string) => void
  #said = 0

  /**
   * @param words the words of all slots, shared with the judge's thread
   */
  constructor(words: Int32Array, onOutput: (text: string) => void) {
    this.#words = words
    this.#onOutput = onOutput
  }

  /** Kills all processes and their groups. */
  endAll(): void {
    for (const child of this.#alive) killGroup(child.pid)
  }

  /** Starts a process, and stores its id in its slot. */
  start({ slot, settings, channel, heaps, javascript, folder }: StartRequest): void {
    const at = slot * SLOT_WORDS
    let child: ChildProcess
    try {
      child = spawn(process.execPath, [...flags(javascript, folder), MAIN, settings], {
        detached: true,
        env: {},
        cwd: '/',
        stdio: ['ignore', 'pipe', 'pipe', channel, heaps]
      })
    } catch {
      this.#tell(at, ENDED)
      return
    }
    this.#alive.add(child)
    let death = ''
    const hear = (text: string) => {
      const from = death === '' ? text.search(DEATH) : 0
      if (from !== 0) this.#print(from === -1 ? text : text.slice(0, from))
      if (from !== -1) death += text.slice(from)
    }
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#print(text))
    child.stderr?.setEncoding('utf8').on('data', hear)
    child.on('error', () => this.#tell(at, ENDED))
    child.on('exit', async (_code, signal) => {
      this.#alive.delete(child)
      // Its output is still in the pipes; the second turn of the event loop has read it.
      for (let turns = 0; turns < 2; turns++) await turn()
      for (const stream of child.stdio) stream?.destroy()
      this.#words[at + SIGNAL] = signal === null ? 0 : 1
      this.#tell(at, OUT_OF_MEMORY.test(death) ? EXHAUSTED : ENDED)
    })
    this.#words[at + PID] = child.pid ?? -1
    Atomics.notify(this.#words, at + PID)
  }

  #tell(at: number, end: number): void {
    if (this.#words[at + PID] === 0) this.#words[at + PID] = -1
    Atomics.store(this.#words, at + END, end)
    Atomics.notify(this.#words, at + PID)
    Atomics.notify(this.#words, at + END)
  }

  #print(text: string): void {
    if (this.#said >= MOST_OUTPUT) return
    this.#said += text.length
    this.#onOutput(
      this.#said < MOST_OUTPUT ? text : `${text}\n… (the rest of what it prints is left out)\n`
    )
  }
}

/** Kills a process and all others of its group. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined || pid <= 0) return
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL')
    } catch {
      // It has ended already.
    }
  }
}

/** Node's flags: no rights beyond reading the package and the script. */
function flags(javascript: number, folder: string): string[] {
  const known = process.allowedNodeEnvironmentFlags
  const permission = known.has('--permission') ? '--permission' : '--experimental-permission'
  const readable = new Set([PACKAGE, folder].flatMap(path => [path, realpathSync(path)]))
  for (const part of ['build', 'prebuilds', 'node_modules']) {
    try {
      readable.add(realpathSync(join(PACKAGE, part)))
    } catch {
      // It has none.
    }
  }
  return [
    permission,
    '--allow-addons',
    ...[...readable].map(path => `--allow-fs-read=${join(path, '*')}`),
    `--max-old-space-size=${javascript}`,
    '--no-warnings',
    '--disable-sigusr1'
  ].filter(flag => flag !== '--disable-sigusr1' || known.has(flag))
}

/** Reads the system's figures about a process. Call `close()` to release it. */
export class Vitals {
  readonly #pid: number
  /** Open files of /proc, which are read again and again; -1 for what is not there. */
  readonly #files = new Map<string, number>()
  readonly #bytes = Buffer.alloc(1024)

  constructor(pid: number) {
    this.#pid = pid
  }

  /** Returns the milliseconds of processor time of the main thread, which runs the JavaScript. */
  get processorTime(): number | undefined {
    const text = this.#read('schedstat')
    return text === undefined ? undefined : Number(text.split(' ', 1)[0]) / 1e6
  }

  /** Whether it sleeps, so that its processor time is all there is. */
  get isAsleep(): boolean | undefined {
    const text = this.#read('stat')
    return text === undefined ? undefined : text[text.lastIndexOf(')') + 2] === 'S'
  }

  /** Returns the bytes of private memory; 0 if the system does not provide it. */
  get ownBytes(): number {
    const [, resident = 0, shared = 0] = this.#read('statm')?.split(' ').map(Number) ?? []
    return (resident - shared) * 4096
  }

  close(): void {
    for (const [name, file] of this.#files) {
      if (file !== -1) closeSync(file)
      this.#files.set(name, -1)
    }
  }

  #read(name: string): string | undefined {
    const file = this.#files.get(name) ?? this.#open(name)
    if (file === -1) return undefined
    try {
      return this.#bytes.toString(
        'latin1',
        0,
        readSync(file, this.#bytes, 0, this.#bytes.length, 0)
      )
    } catch {
      // The process has ended.
      return undefined
    }
  }

  #open(name: string): number {
    let file = -1
    try {
      file = openSync(`/proc/${this.#pid}/${name}`, 'r')
    } catch {
      // There is no such process, or no /proc.
    }
    this.#files.set(name, file)
    return file
  }
}
