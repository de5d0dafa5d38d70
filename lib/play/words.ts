/** Describes steps and calls in sentences, for users and screen readers. */

import { lineOfCall } from './calls.js'
import type { HeapPicture, Role, WordMeaning } from './picture.js'
import { partAt } from './picture.js'
import type { Step, WordChange } from './recorder.js'
import type { Run, Session } from './session.js'

/** Describes what a call did. */
export function describeRun({ call, variable, returned, error, steps }: Run): string {
  const line = lineOfCall(call, variable)
  const stores = `${steps.length} ${steps.length === 1 ? 'store' : 'stores'}`
  if (error !== undefined) return `${line} threw: ${withoutLink(error.message)}`
  if (returned === undefined) return `${line}: ${stores}.`
  return `${line} returned ${returned === 0 ? 'NULL' : returned}: ${stores}.`
}

/** Removes the link to the documentation that ends messages of this package. */
function withoutLink(message: string): string {
  return message.replace(/ \(see \S+\)$/, '')
}

/** Describes each step of the call with this index. Leaves the session at its current moment. */
export function describeSteps(session: Session, call: number): string[] {
  const { now } = session
  const { steps } = session.runs[call]
  session.go({ call: call + 1, step: 0 })
  const finished = session.picture()
  session.go({ call, step: 0 })
  let before = session.picture()
  // All pictures share one image, which changes: read the old meanings before each step.
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
  if (high !== undefined)
    return `sbrk: the end of the heap moves from ${high.before} to ${high.after}`
  const [first] = changes
  if (first === undefined) return 'nothing'
  if (kind === 'payload') return `your program writes ${bytesOf(changes)} bytes into its block`
  if (kind === 'store' && changes.length === 1)
    return describeWord(first, before[0], after, finished)
  const from = first.word * 4
  const verb = kind === 'unseen' ? 'written through another view' : 'written at once'
  return `${bytesOf(changes)} bytes from byte ${from} on are ${verb}`
}

function bytesOf(changes: readonly WordChange[]): number {
  return changes.length * 4
}

/** The roles of words that belong to a block's structure, not to its payload or to free memory. */
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
    // The word is stored before the header that makes it part of a block.
    const block = partAt(finished, place)?.from ?? place
    const name = NAMES[finished.roleOf(word)] ?? 'word'
    return `${name} of the block at ${block}, which is created here`
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
    `${flags.used ? 'used' : 'free'}${flags.previousUsed ? '' : ', left neighbour free'}`
  )
}

/** Adds an arrow to a link's text, which is `→ 492` or `head`. */
function arrow(text: string): string {
  return text.startsWith('→') ? text : `→ ${text}`
}
