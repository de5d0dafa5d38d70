/**
 * The scripts of the page that hold an allocator: they are loaded anew for each heap, and their
 * stacks lead to their sources.
 */

import type { SourceMapJson } from '../source-map.js'
import { lineOf, type ScriptSource } from '../sources.js'

/** A script as `wrapScript` (script.ts) writes it. */
interface PlayScript {
  /** Taken on the script's first line. */
  readonly stack: string
  /** Runs the script: what its module exports. */
  load(): unknown
}

declare global {
  // Scripts of the page put themselves here.
  var offheapScripts: Record<string, PlayScript> | undefined
}

/** What the page knows of a script before it runs. */
export interface ScriptData {
  readonly map: SourceMapJson
  readonly lines: number
}

/** The script of that name. Throws when the page has none. */
export function scriptNamed(name: string): PlayScript {
  const script = globalThis.offheapScripts?.[name]
  if (script === undefined) throw new Error(`the page has no script ${name}`)
  return script
}

export function sourceOf(name: string, { map, lines }: ScriptData): ScriptSource {
  return { map, lines, firstLine: lineOf(scriptNamed(name).stack) }
}
