/** The statistics of heaps as gauges of prom-client, computed when the metrics are requested. */
import { Gauge } from 'prom-client'

const FIGURES = {
  size: 'Bytes of the heap.',
  used: 'Bytes in used blocks, headers included.',
  free: 'Bytes in free blocks, in free slots and in the wilderness.',
  slabs: 'Bytes of the chunks that slabs are in.',
  largestFree: 'The largest request that would succeed, in bytes.',
  highWater: 'The most bytes of block space that were ever in use.',
  residentBytes: 'Bytes of the heap that are in physical memory.',
  blocks: 'How many blocks are used.',
  freeBlocks: 'How many free blocks there are.'
}

/**
 * Adds gauges `offheap_used`, `offheap_resident_bytes` … with the label `heap` to a registry, for
 * each heap by its name.
 */
export function observeHeaps(heaps, registry) {
  for (const [figure, help] of Object.entries(FIGURES)) {
    const gauge = new Gauge({
      name: `offheap_${figure.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)}`,
      help,
      labelNames: ['heap'],
      registers: [registry],
      collect() {
        gauge.reset() // a closed heap has no statistics
        for (const [name, heap] of Object.entries(heaps)) {
          if (!heap.closed) gauge.set({ heap: name }, heap.stats()[figure])
        }
      }
    })
  }
}
