/** The colours of the page's style sheet, for canvas drawings. */

import { SIZE_CLASSES } from '../size-classes.js'

export interface Theme {
  readonly name: 'light' | 'dark'
  readonly ink: string
  readonly muted: string
  readonly grid: string
  readonly plot: string
  readonly panel: string
  readonly now: string
  readonly header: string
  readonly slack: string
  readonly free: string
  readonly freeEdge: string
  /** The space between payloads, for an allocator that doesn't describe its heap. */
  readonly between: string
  /**
   * A used slot and the text on it, a free slot and its lines, a granule that is not a slab and its
   * lines.
   */
  readonly slot: string
  readonly slotInk: string
  readonly slotFree: string
  readonly slotLines: string
  readonly granule: string
  readonly granuleLines: string
  readonly payload: string
  readonly heap: string
  readonly utilization: string
  readonly fragmentation: string
  /** One for each size class, and for the text on it. */
  readonly sizes: readonly string[]
  readonly sizeInks: readonly string[]
}

export const FONT = '12px system-ui, sans-serif'
export const SMALL_FONT = '11px system-ui, sans-serif'

/** The reader's choice or, without one, the system's setting. */
export function currentTheme(): Theme {
  const root = document.documentElement
  const chosen = root.dataset.theme
  const dark =
    chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  const style = getComputedStyle(root)
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim()
  return {
    name: dark ? 'dark' : 'light',
    ink: color('ink'),
    muted: color('muted'),
    grid: color('grid'),
    plot: color('plot'),
    panel: color('panel'),
    now: color('now'),
    header: color('header'),
    slack: color('slack'),
    free: color('free'),
    freeEdge: color('free-edge'),
    between: color('between'),
    slot: color('slot'),
    slotInk: color('slot-ink'),
    slotFree: color('slot-free'),
    slotLines: color('slot-lines'),
    granule: color('granule'),
    granuleLines: color('granule-lines'),
    payload: color('payload'),
    heap: color('heap'),
    utilization: color('utilization'),
    fragmentation: color('fragmentation'),
    sizes: SIZE_CLASSES.map((_, i) => color(`size-${i}`)),
    sizeInks: SIZE_CLASSES.map((_, i) => color(`size-ink-${i}`))
  }
}
