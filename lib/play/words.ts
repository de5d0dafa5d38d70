/** Steps and calls as sentences, for the eye and for a screen reader. */

import { lineOfCall } from './calls.js'
import type { HeapPicture, Role, WordMeaning } from './picture.js'
import { partAt } from './picture.js'
import type { Step, WordChange } from './recorder.js'
import type { Run, Session } from './session.js'

/** What a call did, in a sentence. */
export function describeRun({ call, variable, returned, error, steps }: Run): string {
  const line = lineOfCall(call, variable)
  const stores = `${steps.length} ${steps.length === 1 ? 'store' : 'stores'}`
  if (error !== undefined) return `${line} threw: ${withoutLink(error.message)}`
  if (returned === undefined) return `${line}: ${stores}.`
  return `${line} returned ${returned === 0 ? 'NULL' : returned}: ${stores}.`
}

/** Errors of the package end with a link to its documentation. */
function withoutLink(message: string): string {
  return message.replace(/ \(see \S+\)$/, '')
}

/**
 * What each step of the call with this index did. The session is left at the moment where it was.
 */
export function describeSteps(session: Session, call: number): string[] {
  const { now } = session
  const { steps } = session.runs[call]
  session.go({ call: call + 1, step: 0 })
  const finished = session.picture()
  session.go({ call, step: 0 })
  let before = session.picture()
  // The pictures are of one image, which changes: what a word said has to be asked in time.
  const texts = steps.map((step, i) => {
    const said = step.changes.map(({ word }) => before.meaningOf(word))
    session.go({ call, step: i + 1 })
    const after = session.picture()
    const text = describeStep(step, said, after, finished)
    before = after
    return text
  })
  session.go(now)
  return texts
}

function describeStep(
  step: Step,
  before: readonly WordMeaning[],
  after: HeapPicture,
  finished: HeapPicture
): string {
  const { kind, changes, high } = step
  if (high !== undefined) return `sbrk: the heap ends at ${high.after}, before at ${high.before}`
  const [first] = changes
  if (first === undefined) return 'nothing'
  if (kind === 'payload') return `your program writes ${bytesOf(changes)} bytes into its block`
  if (kind === 'store' && changes.length === 1)
    return describeWord(first, before[0], after, finished)
  const from = first.word * 4
  const verb = kind === 'unseen' ? 'written through another view' : 'written at once'
  return `${bytesOf(changes)} bytes from byte ${from} on ${verb}`
}

function bytesOf(changes: readonly WordChange[]): number {
  return changes.length * 4
}

/** Roles of words that belong to what is built, and not to a payload or to free memory. */
const BUILT: ReadonlySet<Role> = new Set<Role>(['header', 'next', 'previous', 'tree', 'footer'])

function describeWord(
  { word, before: old, after: value }: WordChange,
  was: WordMeaning,
  picture: HeapPicture,
  finished: HeapPicture
): string {
  const is = picture.meaningOf(word)
  const place = word * 4
  const same = old === value ? ', as it was' : ''
  if (!BUILT.has(is.role) && BUILT.has(finished.roleOf(word))) {
    // Written before the store that makes it true.
    const block = partAt(finished, place)?.from ?? place
    return `${NAMES[finished.roleOf(word)] ?? 'word'} of the block at ${block}, which is made here`
  }
  switch (is.role) {
    case 'header': {
      const change = was.role === 'header' ? `${stateOf(was)} → ${stateOf(is)}` : stateOf(is)
      return `header at ${place}: ${change}${same}`
    }
    case 'next':
    case 'previous':
    case 'tree':
      return `${is.caption} at ${place}: ${arrow(is.text)}${same}`
    case 'footer':
      return `footer at ${place}: ${is.text} bytes${same}`
    case 'meta':
      return `${is.caption}: ${was.text.replace('→ ', '')} ${arrow(is.text)}${same}`
    case 'table':
      return `slab tables, ${is.caption}: ${was.text} → ${is.text}${same}`
    case 'index':
      return `index at ${place}: ${was.text} → ${is.text}${same}`
    default:
      return `byte ${place}: ${was.text} → ${is.text}${same}`
  }
}

const NAMES: Partial<Record<Role, string>> = {
  header: 'header',
  next: 'next',
  previous: 'prev',
  tree: 'tree link',
  footer: 'footer'
}

function stateOf({ text, flags }: WordMeaning): string {
  if (flags === undefined) return text
  return (
    `${text} bytes ` +
    `${flags.used ? 'used' : 'free'}${flags.previousUsed ? '' : ', left one free'}`
  )
}

/** Links say `→ 492` or `head`. */
function arrow(text: string): string {
  return text.startsWith('→') ? text : `→ ${text}`
}
