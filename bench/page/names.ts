/** The names and colours of contenders, the same in all pictures. */
import { FRONT } from '../contenders/heap-names.js'

const NAMES: Readonly<Record<string, readonly [name: string, color: string]>> = {
  'segregated-fit': ['offheap, segregated fit', '#1864ab'],
  'first-fit': ['offheap, first fit', '#c2255c'],
  [`first-fit+${FRONT.flag}`]: [`offheap, first fit, ${FRONT.words}`, '#f06595'],
  'segregated-fit+views': ['offheap allocBuffer', '#862e9c'],
  'first-fit+views': ['offheap allocBuffer, first fit', '#c2255c'],
  'segregated-fit+closed': ['offheap, segregated fit, after a heap was closed', '#4dabf7'],
  'first-fit+closed': ['offheap, first fit, after a heap was closed', '#f783ac'],
  glibc: ['C library (C++)', '#212529'],
  mimalloc: ['mimalloc (C++)', '#868e96'],
  jemalloc: ['jemalloc (C++)', '#adb5bd'],
  'glibc-call': ['C library, called from JavaScript', '#846358'],
  'dlmalloc-wasm': ['dlmalloc (Wasm)', '#2b8a3e'],
  'tlsf-wasm': ['TLSF (Wasm)', '#66a80f'],
  'Buffer.alloc': ['Buffer.alloc', '#e67700'],
  'Buffer.allocUnsafe': ['Buffer.allocUnsafe', '#2b8a3e'],
  'new Uint8Array': ['new Uint8Array', '#868e96'],
  'floor-js': ['floor: the JavaScript loop', '#ced4da'],
  'floor-c++': ['floor: the C++ loop', '#ced4da']
}

export function nameOf(id: string): string {
  return NAMES[id]?.[0] ?? id
}

export function colorOf(id: string): string {
  return NAMES[id]?.[1] ?? '#495057'
}
