/** What usually causes a fault. A hint is a guess, reported as such after the facts. */

import type { HeapState } from './verify.js'

const TAG =
  'which looks like a header or footer: the allocator believes that a block begins or ends ' +
  'here. Check the sizes in split and coalesce, and that every size counts header, payload ' +
  'and footer'
const LINK =
  'which looks like a link of a free list: a block in use is still on the list, or was put ' +
  'there. Take a block off when it is handed out and when it is merged, and mend the links ' +
  'on both sides'

/** Guesses what a word written into a payload was meant to be, by its value. */
function wordHint(lab: HeapState, word: number): string {
  const { low, high } = lab
  const size = word - (word % 8)
  // Links are byte offsets, or indexes of words of 4 or 8 bytes.
  if ([1, 4, 8].some(unit => word * unit >= low && word * unit <= high) && word % 8 !== 1)
    return `${word}, ${LINK}`
  if (word > 0 && word % 8 <= 3 && size <= high - low)
    return `${word} (${size} with the low bits ${word % 8}), ${TAG}`
  return ''
}

/** Returns a hint for a payload that was changed at byte `at`. */
export function payloadHint(lab: HeapState, at: number): string {
  const word = lab.views.dataView.getUint32(at - (at % 4), true)
  if (word === 0) {
    return (
      'the word there is now 0: the end of a list, a cleared tag or an epilogue header was ' +
      'written over a payload. Check where the allocator believes this block to end'
    )
  }
  const looks = wordHint(lab, word)
  if (looks !== '') return `the word there now reads ${looks}`
  return (
    'the bytes look like the contents of another payload: two blocks share memory, or a copy ' +
    'was longer than the block that it went to'
  )
}

/**
 * Returns a hint for a write into a payload. `where` is the function that wrote: its name may tell
 * links from tags.
 */
export function writeHint(lab: HeapState, value: unknown, where: string): string {
  if (typeof value !== 'number') {
    return 'a copy or fill is longer than the block that it goes to, or goes to the wrong place'
  }
  if (/insert|remove|link|list|push|pop|delete|add/i.test(where))
    return `it wrote ${value}, ${LINK}`
  if (/tag|split|place|head|foot|coalesce|merge/i.test(where)) return `it wrote ${value}, ${TAG}`
  const looks = wordHint(lab, value)
  return looks === ''
    ? `it wrote ${value}; check where the allocator believes this block to be`
    : `it wrote ${looks}`
}

/**
 * Returns a hint for an error about a global of Node or of browsers, which a submission does not
 * have.
 */
export function worldHint(message: string): string {
  const [, name = ''] = /^ReferenceError: (\w+) is not defined/.exec(message) ?? []
  return ELSEWHERE.has(name) ? HINTS.world : ''
}

/** Globals of Node and of browsers that a submission does not have. */
const ELSEWHERE = new Set(
  (
    'process require setTimeout setInterval setImmediate queueMicrotask performance Buffer fetch ' +
    'Worker global WebAssembly Atomics SharedArrayBuffer WeakRef FinalizationRegistry'
  ).split(' ')
)

export const HINTS = {
  missingReturn: 'a path through the function ends without a return',
  async:
    'the method is async, so it returns a Promise: an allocator must answer at once. ' +
    'Remove async and await',
  calloc:
    'new bytes from sbrk are zero; those of a block that was used before are not, nor are ' +
    'those that held tags and links',
  deep: 'a function calls itself endlessly, or too deeply: walk a list with a loop instead',
  world: 'an allocator has only the language and its memory: no modules, no process, no timers',
  views:
    'use the views that memory has, and no others over their buffer: accesses are watched ' +
    'and counted',
  sbrkFailed: 'sbrk returns -1 when no memory is left; malloc must then return 0',
  misaligned:
    'round block sizes up to a multiple of the alignment, and begin the first block so ' +
    'that its payload, not its header, is aligned',
  outside:
    'ask sbrk for header, payload and footer together, and use its answer (the old high) ' +
    'as the beginning of the new bytes',
  sameBlock:
    'the very same payload was handed out twice: the block was not marked as used, not ' +
    'taken off its free list, or is on the list twice',
  overlapBehind:
    'the new block reaches into the block after it: its header claims more than it has. ' +
    'Check what coalescing adds up, and that a split leaves the right size on both sides',
  overlapInside:
    'the new block begins inside a block in use: a free block was found where there is ' +
    'none. Check how the allocator gets from a block to its left and right neighbour, and ' +
    'the sizes that it reads there',
  reallocLost:
    'copy min(old payload, new size) bytes before the old block is freed or its bytes are ' +
    'used for tags and links',
  reallocOverread:
    'realloc must copy min(old payload, new size) bytes; copying the new size reads beyond ' +
    'the end of the old block',
  nullPage:
    'this is where NULL points: a 0 that ends a list, or the result of a failed search, ' +
    'was used as a pointer',
  badWord:
    'the index was computed from a word that is not a size, tag or link. Either nothing ' +
    'was written there (a forgotten footer?), or the allocator looked in the wrong place,' +
    ' or it followed a free list that still contains a block in use',
  farBeyond:
    'perhaps a byte offset was used as an index without dividing it by the element size: ' +
    'the word at byte p is u32[p / 4]. Or a word was read as a size or link, but is not ' +
    'one',
  beyond:
    'check the right neighbour only if there is one: the last block has none, unless an ' +
    'epilogue header follows it',
  below:
    'check the left neighbour only if there is one: the first block has none, unless a ' +
    'prologue block precedes it',
  index:
    'pointers count bytes, elements of u32 four bytes: the element of byte p is u32[p / ' +
    '4], and p must be a multiple of 4. JavaScript reads undefined from an element that ' +
    'does not exist, and ignores what is written to it',
  neverReused: 'blocks that were freed are not found again, or are in pieces that are not merged',
  nullTooEarly: 'sbrk has not failed yet: ask it for more memory',
  endlessMemory:
    'a search or walk goes in circles: a block of size 0, or a free list whose links lead' +
    ' back (a block was put on it twice, or unlinked on one side only)',
  endlessNoMemory: 'the loop does not touch the mapped memory; look at the loop condition',
  topLevel: 'a loop at the top level of the file does not end',
  slow: 'the allocator makes progress, but slowly: every operation walks through too many blocks',
  runaway: 'keep all state in the mapped memory; a JavaScript array, Map or string grows somewhere',
  shared:
    'keep state in variables inside create(), or better in the mapped memory; variables at ' +
    'the top of the file are shared by all heaps',
  outsideState:
    'arrays, Maps and objects that hold a record for each block are not allowed: an ' +
    'allocator beneath a program has no memory but its own'
} as const
