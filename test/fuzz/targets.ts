/** The targets of fuzzing: each takes any bytes, and throws only findings. */
import { fuzzEvents } from './events-target.js'
import { fuzzFile } from './file-target.js'
import { fuzzHeap } from './heap-target.js'
import { fuzzTrace } from './trace-target.js'

export type Target = (data: Uint8Array) => string[] | Promise<string[]>

export const targets = {
  heap: fuzzHeap,
  trace: fuzzTrace,
  events: fuzzEvents,
  file: fuzzFile
} satisfies Record<string, Target>

export type TargetName = keyof typeof targets

export const targetNames: readonly TargetName[] = ['heap', 'trace', 'events', 'file']

/** Longer inputs are cut. */
export const MAX_INPUT: Readonly<Record<TargetName, number>> = {
  heap: 17_920,
  trace: 4096,
  events: 4096,
  file: 600
}
