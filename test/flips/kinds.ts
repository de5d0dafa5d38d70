/** The kinds of heaps: each placement with each of the variants. A new variant is one line here. */
import { type HeapOptions, placements } from '../../lib/index.js'

interface Variant {
  readonly options: HeapOptions
  readonly sizes: readonly number[]
  /** In a region, whose pages are really returned to the system. */
  readonly mapped?: true
}

const variants: readonly Variant[] = [
  { options: { slabs: false }, sizes: [1024, 16_384] },
  { options: { slabs: true }, sizes: [1024, 16_384] },
  { options: { slabs: false, trimThreshold: 8192 }, sizes: [65_536], mapped: true },
  { options: { slabs: true, trimThreshold: 8192 }, sizes: [65_536], mapped: true },
  { options: { hardened: true, quarantine: 0 }, sizes: [4096, 32_768] },
  { options: { hardened: true, quarantine: 2048 }, sizes: [4096, 32_768] },
  {
    options: { hardened: true, quarantine: 2048, trimThreshold: 8192 },
    sizes: [65_536],
    mapped: true
  }
]

export interface Kind {
  readonly name: string
  readonly options: HeapOptions
  readonly bytes: number
  readonly mapped: boolean
}

export const kinds: readonly Kind[] = placements.flatMap(placement =>
  variants.flatMap(({ options, sizes, mapped = false }) =>
    sizes.map(bytes => {
      const set = Object.entries(options).map(([name, value]) => `${name} ${value}`)
      return {
        name: [placement, ...set, `${bytes} bytes`].join(', '),
        options: { placement, ...options },
        bytes,
        mapped
      }
    })
  )
)
