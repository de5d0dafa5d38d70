/**
 * The calls of a program on the page: as the user types them (`b = malloc(100)`, `free a`), as the
 * page shows them, and in the short form of a link.
 *
 * Each call that allocates creates a variable: a, b, … z, a1, b1, … A `realloc` updates the
 * variable that it is given. `free` leaves it unchanged, so it is stale afterwards, as in C.
 * Instead of a variable, a call may use a number: a pointer of any value.
 */

/** A variable, by its number, or a pointer. */
export type Reference = { readonly variable: number } | { readonly pointer: number }

export type Call =
  | { readonly kind: 'malloc'; readonly size: number }
  | { readonly kind: 'calloc'; readonly count: number; readonly size: number }
  | { readonly kind: 'aligned'; readonly alignment: number; readonly size: number }
  | { readonly kind: 'realloc'; readonly of: Reference; readonly size: number }
  | { readonly kind: 'free'; readonly of: Reference }

/** An error in typed text or in a link. Its message says what is allowed. */
export class CallError extends Error {
  override readonly name = 'CallError'
}

/** The most calls that a program may have. */
export const MOST_CALLS = 20_000
/** The largest number in a call. */
const LARGEST = 2 ** 32

/** Returns whether the call creates a variable. */
export function makesVariable({ kind }: Call): boolean {
  return kind === 'malloc' || kind === 'calloc' || kind === 'aligned'
}

/** Returns the name of a variable. */
export function nameOf(variable: number): string {
  const letter = String.fromCharCode(0x61 + (variable % 26))
  return variable < 26 ? letter : `${letter}${Math.floor(variable / 26)}`
}

/** Returns the variable with this name; undefined if it is not a valid name. */
function variableNamed(name: string): number | undefined {
  const match = /^([a-z])(\d*)$/.exec(name)
  if (match === null) return undefined
  const [, letter = 'a', round] = match
  return letter.charCodeAt(0) - 0x61 + 26 * Number(round)
}

/** Returns the call as a line of a program. `variable` is the one that it creates, if any. */
export function lineOfCall(call: Call, variable: number): string {
  switch (call.kind) {
    case 'malloc':
      return `${nameOf(variable)} = malloc(${call.size})`
    case 'calloc':
      return `${nameOf(variable)} = calloc(${call.count}, ${call.size})`
    case 'aligned':
      return `${nameOf(variable)} = alignedAlloc(${call.alignment}, ${call.size})`
    case 'realloc': {
      const name = referenceName(call.of)
      return 'variable' in call.of
        ? `${name} = realloc(${name}, ${call.size})`
        : `realloc(${name}, ${call.size})`
    }
    case 'free':
      return `free(${referenceName(call.of)})`
  }
}

export function referenceName(reference: Reference): string {
  return 'variable' in reference ? nameOf(reference.variable) : String(reference.pointer)
}

/** The names of the functions, as typed by the user. */
const FUNCTIONS: Readonly<Record<string, Call['kind']>> = {
  malloc: 'malloc',
  m: 'malloc',
  calloc: 'calloc',
  c: 'calloc',
  alignedalloc: 'aligned',
  aligned: 'aligned',
  realloc: 'realloc',
  r: 'realloc',
  free: 'free',
  f: 'free'
}

/**
 * Parses typed text: one or several calls, separated by semicolons or line breaks. Ignores a name
 * in front of `=`: variables are named in order. Throws `CallError`.
 * @param variables the number of variables so far
 */
export function parseCalls(text: string, variables: number): Call[] {
  const calls: Call[] = []
  let made = variables
  for (const line of text.split(/[;\n]/)) {
    const trimmed = line.replace(/\/\/.*$/, '').trim()
    if (trimmed === '') continue
    const call = parseCall(trimmed, made)
    if (makesVariable(call)) made++
    calls.push(call)
  }
  return calls
}

function parseCall(text: string, variables: number): Call {
  const match = /^(?:[a-z]\d*\s*=\s*)?([a-z]+)\s*[( ]\s*([^()]*?)\s*\)?$/i.exec(text)
  const kind = FUNCTIONS[match?.[1]?.toLowerCase() ?? '']
  if (match === null || kind === undefined) {
    throw new CallError(
      `"${text}" is not a call. Type malloc(24), calloc(4, 8), realloc(a, 60), free(a) or ` +
        'aligned(64, 24)'
    )
  }
  const args = (match[2] ?? '').split(/[\s,]+/).filter(part => part !== '')
  const expected = kind === 'malloc' || kind === 'free' ? 1 : 2
  if (args.length !== expected) {
    throw new CallError(
      `${kind} takes ${expected === 1 ? 'one argument' : 'two arguments'}, but "${text}" ` +
        `has ${args.length}`
    )
  }
  const [first = '', second = ''] = args
  switch (kind) {
    case 'malloc':
      return { kind, size: amount(first) }
    case 'calloc':
      return { kind, count: amount(first), size: amount(second) }
    case 'aligned':
      return { kind, alignment: amount(first), size: amount(second) }
    case 'realloc':
      return { kind, of: reference(first, variables), size: amount(second) }
    case 'free':
      return { kind, of: reference(first, variables) }
  }
}

function amount(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value <= LARGEST) return value
  throw new CallError(`"${text}" is not a number of bytes: give an integer from 0 to ${LARGEST}`)
}

function reference(text: string, variables: number): Reference {
  if (/^null$/i.test(text)) return { pointer: 0 }
  if (/^\d+$/.test(text)) return { pointer: amount(text) }
  const variable = variableNamed(text.toLowerCase())
  if (variable !== undefined && variable < variables) return { variable }
  const known =
    variables === 0
      ? 'there are no blocks yet'
      : `the blocks are ${nameOf(0)} to ${nameOf(variables - 1)}`
  throw new CallError(`"${text}" is not a block: ${known}`)
}

// ---- links --------------------------------------------------------------------------------------

/** Returns the calls in the short form of a link: `m24.c4x8.l64x24.r0x60.f0.fp456`. */
export function encodeCalls(calls: readonly Call[]): string {
  return calls.map(encodeCall).join('.')
}

function encodeCall(call: Call): string {
  switch (call.kind) {
    case 'malloc':
      return `m${call.size}`
    case 'calloc':
      return `c${call.count}x${call.size}`
    case 'aligned':
      return `l${call.alignment}x${call.size}`
    case 'realloc':
      return `r${encodeReference(call.of)}x${call.size}`
    case 'free':
      return `f${encodeReference(call.of)}`
  }
}

function encodeReference(of: Reference): string {
  return 'variable' in of ? String(of.variable) : `p${of.pointer}`
}

/** Parses the output of `encodeCalls`. Throws `CallError`. */
export function decodeCalls(text: string): Call[] {
  if (text === '') return []
  const calls: Call[] = []
  let made = 0
  for (const part of text.split('.')) {
    const call = decodeCall(part, made)
    if (makesVariable(call)) made++
    calls.push(call)
  }
  if (calls.length > MOST_CALLS)
    throw new CallError(`The link has ${calls.length} calls; at most ${MOST_CALLS} are allowed`)
  return calls
}

function decodeCall(part: string, variables: number): Call {
  const match = /^([mclrf])(p?)(\d+)(?:x(\d+))?$/.exec(part)
  if (match === null)
    throw new CallError(`The link has "${part}" where a call should be, such as m24 or f0`)
  const [, letter, isPointer, first = '', second] = match
  const has = (expected: boolean) =>
    (second !== undefined) === expected && (isPointer === '' || letter === 'f' || letter === 'r')
  const of = () =>
    isPointer === 'p' ? { pointer: amount(first) } : reference(nameOf(Number(first)), variables)
  if (letter === 'm' && has(false)) return { kind: 'malloc', size: amount(first) }
  if (letter === 'f' && has(false)) return { kind: 'free', of: of() }
  if (has(true)) {
    const size = amount(second ?? '')
    if (letter === 'c') return { kind: 'calloc', count: amount(first), size }
    if (letter === 'l') return { kind: 'aligned', alignment: amount(first), size }
    if (letter === 'r') return { kind: 'realloc', of: of(), size }
  }
  throw new CallError(`The link has "${part}", with too many numbers or too few`)
}
