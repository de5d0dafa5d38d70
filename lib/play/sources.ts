/** Maps a browser's stack trace to lines of the sources, by the source map of each script. */

import { SourceMap, type SourceMapJson } from './source-map.js'

/** A frame of the stack. */
export interface Frame {
  /** The function, such as `Blocks.place`; empty at the top level. */
  readonly name: string
  readonly file: string
  /** The line, from 1. */
  readonly line: number
}

/** A script of the page: its source map, and its position in the page's file. */
export interface ScriptSource {
  readonly map: SourceMapJson
  readonly firstLine: number
  /** The number of lines of the script. */
  readonly lines: number
}

export class Sources {
  readonly #scripts: readonly { readonly script: ScriptSource; readonly map: SourceMap }[]
  readonly #texts = new Map<string, readonly string[]>()

  constructor(scripts: readonly ScriptSource[]) {
    this.#scripts = scripts.map(script => ({ script, map: new SourceMap(script.map) }))
    for (const { map } of scripts) {
      for (const [i, name] of map.sources.entries()) {
        this.#texts.set(cleanName(name), map.sourcesContent[i]?.split(/\r?\n/) ?? [])
      }
    }
  }

  /** Returns the lines of a source; none if it is unknown. */
  textOf(file: string): readonly string[] {
    return this.#texts.get(file) ?? []
  }

  /** Returns the frames of a stack that are in known sources, the innermost first. */
  resolve(stack: string): Frame[] {
    const frames: Frame[] = []
    for (const { name, line, column } of placesOf(stack)) {
      for (const { script, map } of this.#scripts) {
        const own = line - script.firstLine + 1
        const place = own >= 1 && own <= script.lines ? map.find(own, column) : undefined
        if (place === undefined) continue
        frames.push({
          name,
          file: cleanName(script.map.sources[place.source] ?? ''),
          line: place.line
        })
        break
      }
    }
    return frames
  }
}

/** Returns the line of the page's file on which a stack was taken. */
export function lineOf(stack: string): number {
  return placesOf(stack)[0]?.line ?? 1
}

interface Place {
  readonly name: string
  readonly line: number
  readonly column: number
}

/**
 * Parses a stack. Chromium writes `at Blocks.place (file:///play.html:12:34)`, Firefox and Safari
 * write `place@file:///play.html:12:34`.
 */
function placesOf(stack: string): Place[] {
  const places: Place[] = []
  for (const text of stack.split('\n')) {
    const match = /^\s*(?:at (?:new )?)?(.*?)[ @(]*((?:\w+:\/\/|<)[^@\s]*):(\d+):(\d+)\)?$/.exec(
      text
    )
    if (match === null) continue
    const [, name = '', , line, column] = match
    places.push({ name: cleanFunction(name), line: Number(line), column: Number(column) })
  }
  return places
}

/** Removes esbuild's prefix of class names, and the object that a function was called on. */
function cleanFunction(name: string): string {
  return name
    .replace(/ \[as .*$/, '')
    .replace(/^Object\./, '')
    .replace(/\/</g, '')
    .replace(/^_(?=[A-Z])/, '')
    .replace('<anonymous>', '')
}

/** Removes the relative path from the script's folder to the source's. */
function cleanName(name: string): string {
  return name.replace(/^(?:\.\.?\/)+/, '')
}
