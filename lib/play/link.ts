/**
 * Encodes the state of the page into the part of its address after `#`: all calls, the options and
 * the moment shown.
 */

import type { PlacementName } from '../placement/placement.js'
import { isPlacement } from '../placement/policies.js'
import { type Call, CallError, decodeCalls, encodeCalls } from './calls.js'
import { HEAP_SIZES } from './config.js'
import type { Moment } from './session.js'

export interface LinkState {
  readonly placement: PlacementName
  readonly against: PlacementName | undefined
  readonly slabs: boolean
  readonly size: number
  readonly fills: boolean
  readonly calls: readonly Call[]
  readonly moment: Moment
}

export function encodeLink({
  placement,
  against,
  slabs,
  size,
  fills,
  calls,
  moment
}: LinkState): string {
  const parts = [placement, `size=${size}`]
  if (against !== undefined) parts.push(`against=${against}`)
  if (slabs) parts.push('slabs')
  if (!fills) parts.push('bare')
  parts.push(`calls=${encodeCalls(calls)}`)
  if (moment.call !== calls.length || moment.step !== 0)
    parts.push(`at=${moment.call}.${moment.step}`)
  return `#${parts.join('&')}`
}

/**
 * Parses a link; `standard` has the values that it does not mention. Throws `CallError` if it is
 * not a link of this page.
 */
export function decodeLink(hash: string, standard: LinkState): LinkState {
  let state = standard
  let at: Moment | undefined
  for (const part of hash.replace(/^#/, '').split('&')) {
    const [name = '', value = ''] = part.split('=')
    if (isPlacement(name)) state = { ...state, placement: name }
    else if (name === 'against' && isPlacement(value)) state = { ...state, against: value }
    else if (name === 'slabs') state = { ...state, slabs: true }
    else if (name === 'bare') state = { ...state, fills: false }
    else if (name === 'size' && HEAP_SIZES.includes(Number(value)))
      state = { ...state, size: Number(value) }
    else if (name === 'calls') state = { ...state, calls: decodeCalls(value) }
    else if (name === 'at') at = momentOf(value)
    else throw new CallError(`The link has "${part}", which this page does not know`)
  }
  return { ...state, moment: at ?? { call: state.calls.length, step: 0 } }
}

function momentOf(text: string): Moment {
  const match = /^(\d+)\.(\d+)$/.exec(text)
  if (match === null)
    throw new CallError(`The link has the moment "${text}"; a moment is two numbers, such as 3.1`)
  return { call: Number(match[1]), step: Number(match[2]) }
}
