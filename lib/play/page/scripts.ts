/** The scripts of the page that contain an allocator. They are loaded again for each heap. */

import type { SourceMapJson } from '../source-map.js'
import { lineOf, type ScriptSource } from '../sources.js'

/** A script built with `framed` (script.ts). */
interface PlayScript {
  /** The stack, taken on the script's first line. */
  readonly stack: string
  /** Runs the script, and returns the exports of its module. */
  load(): unknown
}

declare global {
  // Scripts of the page register themselves here.
  var offheapScripts: Record<string, PlayScript> | undefined
}

/** The data about a script that are embedded in the page. */
export interface ScriptData {
  readonly map: SourceMapJson
  readonly lines: number
}

/** Returns the script with this name. Throws if there is none. */
export function scriptNamed(name: string): PlayScript {
  const script = globalThis.offheapScripts?.[name]
  if (script === undefined) throw new Error(`the page has no script ${name}`)
  return script
}

export function sourceOf(name: string, { map, lines }: ScriptData): ScriptSource {
  return { map, lines, firstLine: lineOf(scriptNamed(name).stack) }
}
