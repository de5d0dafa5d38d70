/**
 * The mappings of this process as reported by the kernel. Tests of a region's lifetime compare with
 * them.
 */
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

export const onLinux = process.platform === 'linux'
export const onWindows = process.platform === 'win32'

/**
 * Under AddressSanitizer (`node test/check.js asan`), the reason to skip some tests, else
 * undefined. AddressSanitizer makes mlock do nothing, and its allocator aborts a process without
 * free address space.
 */
export const underAsan = /asan/.test(process.env.LD_PRELOAD ?? '')
  ? 'AddressSanitizer does not lock memory, and aborts when memory is exhausted'
  : undefined

interface Mapping {
  start: bigint
  end: bigint
  /** For example `rw-p`. */
  access: string
}

export function mappings(): Mapping[] {
  const lines = readFileSync('/proc/self/maps', 'utf8').trim().split('\n')
  return lines.map(line => {
    const [range = '', access = ''] = line.split(' ')
    const [start, end] = range.split('-')
    return { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), access }
  })
}

/** How the byte at an address is mapped, for example `rw-p`; undefined if it is not mapped. */
export function accessAt(address: bigint): string | undefined {
  return mappings().find(({ start, end }) => start <= address && address < end)?.access
}

function max(one: bigint, other: bigint): bigint {
  return one > other ? one : other
}

function min(one: bigint, other: bigint): bigint {
  return one < other ? one : other
}

/** The number of mapped bytes in a range of addresses. */
export function mappedBytes(address: bigint, length: number): number {
  const last = address + BigInt(length)
  let bytes = 0n
  for (const { start, end } of mappings()) {
    const [from, to] = [max(start, address), min(end, last)]
    if (to > from) bytes += to - from
  }
  return Number(bytes)
}

/** The resident size of this process, in bytes. */
export function residentBytes(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
}

/** The VmFlags of the mapping that contains an address, for example `hg`. */
export function flagsAt(address: bigint): string[] {
  let inside = false
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)
    if (range !== null)
      inside = BigInt(`0x${range[1]}`) <= address && address < BigInt(`0x${range[2]}`)
    if (inside && line.startsWith('VmFlags:')) return line.slice(8).trim().split(' ')
  }
  return []
}

/**
 * Collects garbage and runs the event loop until the condition holds. Returns false if it never
 * does.
 */
export async function collectUntil(condition: () => boolean, turns = 200): Promise<boolean> {
  for (let turn = 0; turn < turns; turn++) {
    if (condition()) return true
    globalThis.gc?.()
    await setImmediate()
  }
  return condition()
}

/** `buffer.transfer()` of Node 22 and later. */
export function transfer(buffer: ArrayBuffer): ArrayBuffer {
  const method: unknown = Reflect.get(buffer, 'transfer')
  if (typeof method !== 'function')
    throw new Error('this version of Node has no ArrayBuffer.prototype.transfer')
  const moved: unknown = method.call(buffer)
  if (!(moved instanceof ArrayBuffer)) throw new Error('transfer() did not return an ArrayBuffer')
  return moved
}

export const hasTransfer = 'transfer' in ArrayBuffer.prototype
