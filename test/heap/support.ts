/**
 * Shared by the tests of the heap: small heaps, calls with arguments of any type, and proof that an
 * error changed nothing.
 */
import { constants } from 'node:buffer'
import { expect } from 'vitest'
import { Heap } from '../../lib/index.js'

/**
 * The most bytes that a test allocates. Memory that is never touched costs nothing, except on
 * Windows, which commits it.
 */
export const MOST_ALLOCATED = process.platform === 'win32' ? 2 ** 24 : 2 ** 33

/** Why a test that allocates `bytes` bytes is skipped here; '' if it runs. */
export function whySkipped(bytes: number): string {
  if (MOST_ALLOCATED < bytes) return 'Windows commits memory that is not touched'
  const { MAX_LENGTH } = constants
  return MAX_LENGTH < bytes ? `this Node wraps at most ${MAX_LENGTH} bytes` : ''
}

export type Method =
  | 'malloc'
  | 'calloc'
  | 'realloc'
  | 'free'
  | 'alignedAlloc'
  | 'usableSize'
  | 'owns'
  | 'view'
  | 'alloc'
  | 'allocZeroed'
  | 'allocBuffer'
  | 'allocArray'

export function newHeap(bytes = 65536): Heap {
  return Heap.format(new ArrayBuffer(bytes))
}

/** A call with arguments that the compiler would reject. */
export function call(heap: Heap, method: Method, ...args: unknown[]): unknown {
  return Reflect.apply(heap[method], heap, args)
}

/** The error of `action`; fails if there is none. */
export function errorOf(action: () => unknown): Error & { code?: unknown } {
  try {
    action()
  } catch (error) {
    if (error instanceof Error) return error
    throw new Error(`${String(error)} was thrown, and is no Error`)
  }
  throw new Error('nothing was thrown')
}

export function expectError(action: () => unknown, code: string, message: RegExp = /./): void {
  const error = errorOf(action)
  expect(`${error.code}: ${error.message}`).toMatch(new RegExp(`^${code}: `))
  expect(error.message).toMatch(message)
}

/** Expects the same words; faster than toEqual for many. */
export function expectSameWords(words: Int32Array, expected: Int32Array): void {
  const bytes = ({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array =>
    new Uint8Array(buffer, byteOffset, byteLength)
  expect(Buffer.compare(bytes(words), bytes(expected))).toBe(0)
}

/** Expects `action` to throw that error, and to change no byte of the heap. */
export function expectRefusal(
  heap: Heap<ArrayBufferLike>,
  action: () => unknown,
  code: string,
  message?: RegExp
): void {
  const before = heap.u8.slice()
  expectError(action, code, message)
  expect(Buffer.compare(heap.u8, before)).toBe(0)
  heap.check()
}

/** Expects `action` to return 0, and to change no block; the search may update an index. */
export function expectNull(heap: Heap, action: () => unknown): void {
  const blocksBegin = heap.stats().metadata - 4
  const before = heap.u8.slice(blocksBegin)
  const { residentBytes: _, ...figures } = heap.stats()
  expect(action()).toBe(0)
  expect(Buffer.compare(heap.u8.subarray(blocksBegin), before)).toBe(0)
  expect(heap.stats()).toMatchObject(figures)
  heap.check()
}

/** Adjacent blocks of `size` bytes, with a used one after the last. */
export function row<Count extends number>(heap: Heap, count: Count, size = 40): number[] {
  const pointers = Array.from({ length: count }, () => heap.malloc(size))
  heap.malloc(size)
  return pointers
}

/** The blocks as one line of text: `u48 f96` is a used block of 48 bytes and a free one of 96. */
export function sketch(heap: Heap): string {
  return [...heap.blocks()].map(({ used, size }) => `${used ? 'u' : 'f'}${size}`).join(' ')
}

/** Fills a block with bytes that depend on their position. */
export function fill(heap: Heap, pointer: number): void {
  const { u8 } = heap
  const size = heap.usableSize(pointer)
  for (let i = 0; i < size; i++) u8[pointer + i] = i * 7 + 1
}

/** Expects the first `length` bytes to be those that `fill` wrote. */
export function expectFilled(heap: Heap, pointer: number, length: number): void {
  const expected = Uint8Array.from({ length }, (_, i) => i * 7 + 1)
  // Not toEqual, which would take minutes to print how two megabytes differ.
  expect(Buffer.compare(heap.u8.subarray(pointer, pointer + length), expected)).toBe(0)
}
