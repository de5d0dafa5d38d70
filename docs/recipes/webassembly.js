/** A WebAssembly module and JavaScript with one heap, which is in the module's memory. */
import { Heap } from 'offheap'

/**
 * 188 bytes, made by `asc module.ts -O3 --runtime stub --importMemory --noExportMemory` of
 * AssemblyScript 0.28 from
 *
 *     @external("env", "malloc") declare function malloc(size: i32): i32
 *
 *     export function sum(pointer: i32, count: i32): f64 {
 *       let total: f64 = 0
 *       for (let i = 0; i < count; i++) total += load<f64>(pointer + i * 8)
 *       return total
 *     }
 *
 *     export function squares(count: i32): i32 {
 *       const pointer = malloc(count * 8)
 *       if (pointer == 0) return 0
 *       for (let i = 0; i < count; i++) store<f64>(pointer + i * 8, f64(i) * f64(i))
 *       return pointer
 *     }
 */
const MODULE = Buffer.from(
  'AGFzbQEAAAABDAJgAX8Bf2ACf38BfAIcAgNlbnYGbWFsbG9jAAADZW52Bm1lbW9yeQIAAAMDAgEABxEC' +
    'A3N1bQABB3NxdWFyZXMAAgpuAiwCAX8BfANAIAEgAkoEQCADIAAgAkEDdGorAwCgIQMgAkEBaiECDAEL' +
    'CyADCz8CAn8BfCAAQQN0EAAiAkUEQEEADwsDQCAAIAFKBEAgAiABQQN0aiABtyIDIAOiOQMAIAFBAWoh' +
    'AQwBCwsgAgs=',
  'base64'
)

export class SharedModule {
  /** The module's memory, of `pages` pages of 64 KiB. */
  memory
  /** The heap in the memory. `grow` replaces this object. */
  heap
  /** The exports of the module: `sum(pointer, count)`, `squares(count)`. */
  exports

  constructor(pages) {
    this.memory = new WebAssembly.Memory({ initial: pages })
    this.heap = Heap.format(this.memory.buffer)
    const env = { memory: this.memory, malloc: size => this.heap.malloc(size) }
    this.exports = new WebAssembly.Instance(new WebAssembly.Module(MODULE), { env }).exports
  }

  /**
   * Grows the memory, which detaches its old buffer, and opens the heap again. The heap keeps its
   * size.
   */
  grow(pages) {
    this.memory.grow(pages)
    this.heap = Heap.attach(this.memory.buffer)
  }
}
