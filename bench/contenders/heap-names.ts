/**
 * The ids of our heaps: a placement, then flags, then the folder of another build.
 *
 *     first-fit                            as Heap.map makes it by default
 *     segregated-fit-slabs                 an option switched off; + switches it on
 *     first-fit+views                      allocBuffer in place of malloc
 *     segregated-fit+closed                after another heap of the process was closed
 *     segregated-fit@/home/me/offheap      the build in that checkout's dist/
 */
import { basename } from 'node:path'
import type { PlacementName } from '#lib/placement/placement.js'
import { isPlacement, placements } from '#lib/placement/policies.js'

/** The option that serves small requests: its flag, in words, and its name. */
export const FRONT = { flag: 'slabs', words: 'slabs', option: 'slabs' } as const

/** Flags that are boolean options of a heap. */
export const OPTION_FLAGS: ReadonlyMap<string, string> = new Map([['slabs', 'slabs']])

/** In words: if switched on, and if switched off. */
const WORDS: ReadonlyMap<string, readonly [on: string, off: string]> = new Map([
  ['slabs', ['slabs', 'no slabs']],
  ['closed', ['after another heap was closed', '']],
  ['views', ['', '']]
])

export interface HeapName {
  readonly placement: PlacementName
  readonly flags: ReadonlyMap<string, boolean>
  /** A checkout whose dist/ has the build; undefined for this one. */
  readonly folder?: string
}

const PATTERN = new RegExp(`^(${placements.join('|')})((?:[+-][a-z]+)*)(?:@(.+))?$`)

/** Parses the id of a heap; undefined if it is not one. */
export function heapName(id: string): HeapName | undefined {
  const [, placement, signed = '', folder] = PATTERN.exec(id) ?? []
  if (!isPlacement(placement)) return undefined
  const flags = new Map<string, boolean>()
  for (const [, sign, flag = ''] of signed.matchAll(/([+-])([a-z]+)/g)) {
    if (!WORDS.has(flag)) return undefined
    flags.set(flag, sign === '+')
  }
  return { placement, flags, ...(folder === undefined ? {} : { folder }) }
}

export function heapLabel({ placement, flags, folder }: HeapName): string {
  const name = flags.get('views') === true ? `allocBuffer, ${placement}` : placement
  const words = [...flags].map(([flag, on]) => WORDS.get(flag)?.[on ? 0 : 1] ?? '')
  const build = folder === undefined ? [] : [`build in ${basename(folder)}`]
  return [`offheap ${name}`, ...words.filter(word => word !== ''), ...build].join(', ')
}

/** The options for the flags. Other builds may have options that this build's types don't have. */
export function heapOptions({ placement, flags }: HeapName): { readonly placement: PlacementName } {
  const options = [...flags].flatMap(([flag, on]) => {
    const option = OPTION_FLAGS.get(flag)
    return option === undefined ? [] : [[option, on]]
  })
  return { ...Object.fromEntries(options), placement }
}
