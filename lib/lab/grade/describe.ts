/** Describes a fault as plain text, for a terminal or a web form. */

import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { CodePlace, Fault } from '../submission/fault.js'

/** The most calls of a stack that are shown. */
const FRAMES = 4

/** Returns lines, without newlines. Paths are relative to `folder`. */
export function describeFault(fault: Fault, folder: string = process.cwd()): string[] {
  const lines =
    fault.where === ''
      ? [capital(`${fault.what}.`)]
      : [`${capital(fault.where)}:`, `  ${fault.what}.`]
  const [place] = fault.stack
  if (place !== undefined) lines.push('', ...codeAround(place, fault.stack, folder))
  if (fault.picture.length > 0) lines.push('', ...fault.picture.map(line => `  ${line}`))
  if (fault.details.length > 0) lines.push('', ...fault.details.map(line => `  ${line}`))
  if (fault.cause !== '') lines.push('', `  Cause: ${fault.cause}.`)
  else if (fault.hint !== '')
    lines.push('', `  Hint: ${fault.hint}${/[.?}]$/.test(fault.hint) ? '' : '.'}`)
  return lines
}

function codeAround(place: CodePlace, stack: readonly CodePlace[], folder: string): string[] {
  const frames = stack.slice(0, FRAMES).map(frame => {
    const name = frame.function === '' ? '' : `${frame.function}, `
    return `${name}${relative(folder, frame.file)}:${frame.line}:${frame.column}`
  })
  const lines = [`  in ${frames[0]}`]
  let source: string[]
  try {
    source = readFileSync(place.file, 'utf8').split(/\r?\n/)
  } catch {
    source = []
  }
  const text = source[place.line - 1]
  if (text !== undefined) {
    const gutter = String(place.line)
    lines.push(
      `    ${gutter} | ${text}`,
      `    ${' '.repeat(gutter.length)} | ${text.slice(0, place.column - 1).replace(/\S/g, ' ')}^`
    )
  }
  lines.push(...frames.slice(1).map(frame => `  called from ${frame}`))
  return lines
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}
