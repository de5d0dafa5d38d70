/**
 * Wrong allocators: each is a correct one with one mistake, given as text replacements. The grader
 * must detect every one of them, and name the mistake: with this `kind`, and a message that matches
 * `says`.
 */

import type { TimeLimits } from '../../lib/lab/judge/limits.js'
import type { FaultKind } from '../../lib/lab/submission/fault.js'
import { solution } from './solutions.js'

export interface Wrong {
  readonly name: string
  /** The step of the solution that it is derived from. */
  readonly step: number
  /** Pairs of texts: every occurrence of the first is replaced by the second. */
  readonly change: readonly (readonly [from: string, to: string])[]
  readonly kind: FaultKind | readonly FaultKind[]
  readonly says: RegExp
  /** Whether the grader describes only what the mistake leads to. At most two may. */
  readonly symptom?: boolean
  /** The function that the grader must name. */
  readonly in?: string
  /** The trace that exposes it. Default: `hello`. */
  readonly trace?: string
  /**
   * The only time limits. Default: none, so that nothing but the detection of the mistake ends the
   * grading.
   */
  readonly limits?: Partial<TimeLimits>
  /**
   * Whether to keep the solution's check(). Without it, the grader must detect the mistake itself.
   */
  readonly check?: boolean
}

/** Joins the parts of a long regular expression; the flags are those of the first. */
export function pattern(first: RegExp, ...rest: readonly RegExp[]): RegExp {
  return new RegExp([first, ...rest].map(({ source }) => source).join(''), first.flags)
}

export const wrongs: readonly Wrong[] = [
  {
    name: 'payloads at odd multiples of 4',
    step: 1,
    change: [['const HEADER = 8', 'const HEADER = 4']],
    kind: 'misaligned',
    says: pattern(
      /malloc returned \d+, which is not a multiple of 8[\s\S]*so that its payload, not its /,
      /header, is aligned/
    )
  },
  {
    name: 'sbrk is not asked for room for the header',
    step: 1,
    change: [['memory.sbrk(HEADER + roundUp(size))', 'memory.sbrk(roundUp(size))']],
    kind: 'outside',
    says: pattern(
      /lies outside the heap; it ends 8 bytes beyond memory\.high[\s\S]*header, payload and /,
      /footer together/
    )
  },
  {
    name: 'first fit that ignores whether a block is used',
    step: 2,
    change: [['(header & 1) === 0 && header >= size', 'header >= size']],
    kind: 'overlap',
    says: pattern(
      /overlap id 0 \(\d+ bytes at \d+, from operation 1, line 5\), which is in use[\s\S]*Cause: /,
      /the block of id 0 was taken although its header, at byte \d+, says that it is used: \d+, /,
      /since malloc, line \d+, in operation 1\./
    ),
    in: 'malloc',
    trace: 'stack'
  },
  {
    name: 'an allocated block that stays on the free list',
    step: 4,
    change: [
      ['    if (block === 0) return 0\n    remove(block)\n', '    if (block === 0) return 0\n']
    ],
    kind: 'access',
    says: pattern(
      /read \w+\[[^\]]+\], an element that does not exist[\s\S]*Cause: the free list leads to /,
      /byte \d+, by the word at byte \d+ \(\d+\); but the block there is in use: it became id 0 /,
      /in operation 1, and was not taken off the list/
    ),
    in: 'find'
  },
  {
    name: 'realloc that frees before it copies',
    step: 4,
    change: [
      [
        '    u8.copyWithin(moved, pointer, pointer + Math.min(old, bytes))\n    free(pointer)\n',
        '    free(pointer)\n    u8.copyWithin(moved, pointer, pointer + Math.min(old, bytes))\n'
      ]
    ],
    kind: 'realloc',
    says: pattern(
      /realloc must keep the first 24 bytes of the block, but byte 0 was lost[\s\S]*Cause: byte /,
      /\d+, in the payload of the old block, was overwritten by insert, line \d+, called by /,
      /coalesce, line \d+, in operation 6, before the copy\./
    )
  },
  {
    name: 'realloc that copies as many bytes as the new size',
    step: 3,
    change: [['Math.min(old, bytes)', 'bytes']],
    kind: 'realloc',
    says: pattern(
      /realloc read bytes \d+ to \d+, (which belong to id \d+|beyond memory\.high)[\s\S]*copying /,
      /the new size reads beyond the end of the old block/
    ),
    in: 'realloc',
    trace: 'buffers'
  },
  {
    name: 'realloc that copies 8 bytes too few',
    step: 3,
    change: [['(i32[pointer / 4 - 1] & ~7) - 8\n', '(i32[pointer / 4 - 1] & ~7) - 16\n']],
    kind: 'realloc',
    says: pattern(
      /but byte 16 was lost[\s\S]*Cause: the copy took 16 bytes, and the block has 24 that must /,
      /be kept\./
    )
  },
  {
    name: 'an exception',
    step: 2,
    change: [
      [
        '    const rest = i32[block] - size',
        "    if (bytes === 40) throw new Error('no idea')\n    const rest = i32[block] - size"
      ]
    ],
    kind: 'exception',
    says: /malloc of 40 bytes for id 3:\n {2}malloc threw Error: no idea\./,
    in: 'malloc'
  },
  {
    name: 'a missing epilogue header',
    step: 3,
    change: [['    i32[block + size / 4] = 1\n    return coalesce', '    return coalesce']],
    kind: 'endless',
    says: pattern(
      /this operation does not end[\s\S]*The last bytes it touched: /,
      /(\d+), \1[\s\S]*Cause: the walk does not move on from byte \1, [\s\S]*it was never /,
      /written\. These are the last 4 bytes of the heap: the walk needs an epilogue header there/
    ),
    in: 'find'
  },
  {
    name: 'a loop that does not touch the memory',
    step: 2,
    change: [
      ['    if (pointer !== 0) i32', '    while (pointer !== 0) {}\n    if (pointer !== 0) i32']
    ],
    limits: { operation: 0.5, idle: 0.5 },
    kind: 'endless',
    says: pattern(
      /free of id 1:\n {2}this operation did not end within 0\.5 s\.[\s\S]*does not touch the /i,
      /mapped memory/i
    )
  },
  {
    name: 'a loop in create',
    step: 2,
    change: [['  return { malloc', '  while (memory.high > 0) {}\n  return { malloc']],
    limits: { operation: 0.5, idle: 0.5 },
    kind: 'endless',
    says: /create\(memory\) did not end within 0\.5 s/i
  },
  {
    name: 'a loop at the top of the file',
    step: 2,
    change: [['export function create', 'for (;;);\nexport function create']],
    limits: { load: 0.5 },
    kind: 'load',
    says: /The file is not loaded after 0\.5 s[\s\S]*loop at the top level/
  },
  {
    name: 'memory that is never reused',
    step: 1,
    change: [['roundUp(size))\n', 'roundUp(size) + 400_000)\n']],
    kind: 'out-of-memory',
    says: pattern(
      /the memory is used up[\s\S]*The heap has grown to \d+ bytes for \d+ bytes of /,
      /payload[\s\S]*Cause: sbrk was asked for 400472 bytes, for a block of 461\./
    ),
    trace: 'queue'
  },
  {
    name: 'a failed sbrk that is not checked',
    step: 1,
    change: [
      ['    if (block === -1) return 0\n', ''],
      ['roundUp(size))\n', 'roundUp(size) + 400_000)\n']
    ],
    kind: ['access', 'not-a-pointer', 'misaligned', 'outside'],
    says: /u32\[-0\.25\], an element that does not exist|sbrk, of \d+ bytes, was refused/,
    trace: 'queue'
  },
  {
    name: 'NULL long before the memory is used up',
    step: 4,
    change: [
      [
        '    if (memory.sbrk(size) === -1) return 0',
        '    if (memory.high > 8192 || memory.sbrk(size) === -1) return 0'
      ]
    ],
    kind: 'out-of-memory',
    says: /returned 0 \(NULL\) for \d+ bytes, although there is memory left/,
    trace: 'stack'
  },
  {
    name: 'endless JavaScript objects',
    step: 1,
    change: [
      [
        '  function free(_pointer: number): void {}',
        '  const log: number[][] = []\n  function free(_pointer: number): void {\n    for ' +
          '(;;) log.push(new Array(1000).fill(1))\n  }'
      ]
    ],
    kind: 'runaway',
    says: /JavaScript objects take more than \d+ MiB/
  },
  {
    name: 'records kept in a Map',
    step: 1,
    change: [
      ['  function malloc(', '  const sizes = new Map<number, number>()\n  function malloc('],
      ['    u32[block / 4] = size\n', '    u32[block / 4] = size\n    sizes.set(block, size)\n']
    ],
    kind: 'state-outside',
    says: /JavaScript heap has grown by about \d+ bytes for each/
  },
  {
    name: 'freed blocks kept in an array',
    step: 1,
    change: [
      [
        '  function free(_pointer: number): void {}',
        '  const list: number[] = []\n  function free(pointer: number): void {\n    ' +
          'list.push(pointer)\n  }'
      ]
    ],
    kind: 'state-outside',
    says: /blocks freed, the JavaScript heap has grown/
  },
  {
    name: 'a free list whose head is a module variable',
    step: 4,
    change: [
      ['const MINIMUM = 16', 'const MINIMUM = 16\nlet list = 0'],
      ['  const prologue = head + 1', '  list = 0\n  const prologue = head + 1'],
      ['i32[head]', 'list']
    ],
    limits: { operation: 0.5 },
    kind: 'shared-state',
    says: /two heaps at a time disturb each other[\s\S]*variables inside create/i
  },
  {
    name: 'a check() that fails: freed blocks are not merged',
    step: 3,
    check: true,
    change: [
      [
        '    tag(block, i32[block] & ~7, 0)\n    coalesce(block)\n',
        '    tag(block, i32[block] & ~7, 0)\n'
      ]
    ],
    kind: 'check',
    says: /after this operation your check\(\) threw: block at \d+: two free blocks touch/,
    in: 'check',
    trace: 'stack'
  },
  {
    name: 'a missing footer',
    step: 3,
    change: [['    i32[block + size / 4 - 1] = size | used\n', '']],
    kind: 'access',
    says: pattern(
      /Before that it read bytes /,
      /(\d+) to \d+ as if they were its own, in coalesce[\s\S]*Cause: byte \1 was read as a /,
      /footer, but none was written: the block that ends there begins at byte \d+ [\s\S]*Its /,
      /header was written by tag, line \d+, called by malloc/
    ),
    trace: 'stack'
  },
  {
    name: 'a footer that still says free when the block is allocated',
    step: 3,
    change: [['      tag(block, size, 1)\n', '      i32[block] = size | 1\n']],
    kind: 'access',
    says: pattern(
      /Cause: byte \d+ was read as a footer, but none was written: [\s\S]*Its header was written /,
      /by malloc, line \d+, in operation \d+\. A used block needs a footer too/
    ),
    trace: 'stack'
  },
  {
    name: 'a split whose remainder is 8 bytes too large',
    step: 4,
    change: [['      tag(block + size / 4, rest, 0)', '      tag(block + size / 4, rest + 8, 0)']],
    kind: 'payload',
    says: pattern(
      /Cause: the block at byte 4140 had 112 bytes and was split into 48 and 72, which is 8 too /,
      /many: tag, line \d+, called by malloc/
    ),
    in: 'tag'
  },
  {
    name: 'a link lost on removal',
    step: 4,
    change: [
      [
        '    if (previous !== 0) i32[previous + 1] = next\n    else i32[head] = next\n',
        '    if (previous === 0) i32[head] = next\n'
      ]
    ],
    kind: 'payload',
    says: pattern(
      /Cause: the free list leads to byte \d+, [\s\S]*the block there was merged into the one at /,
      /byte \d+, by tag, line \d+, called by coalesce, line \d+, in operation 26, and was not /,
      /taken off the list: the link at byte 4112 still led to it/
    ),
    trace: 'random'
  },
  {
    name: 'a merged neighbour that stays on the free list',
    step: 4,
    change: [['      remove(right)\n', '']],
    kind: 'payload',
    says: pattern(
      /Cause: the free list leads to byte \d+, [\s\S]*the block there was merged into the one at /,
      /byte \d+, by tag, line \d+, called by coalesce[\s\S]*and was not taken off the list/
    ),
    trace: 'stack'
  },
  {
    name: 'coalescing beyond the end of the heap',
    step: 3,
    change: [
      ['const prologue = memory.sbrk(16) / 4 + 1', 'const prologue = memory.sbrk(12) / 4 + 1'],
      ['  i32[prologue + 2] = 1\n', ''],
      ['    const block = memory.high / 4 - 1\n', '    const block = memory.high / 4\n'],
      ['    i32[block + size / 4] = 1\n', ''],
      [
        '      const header = i32[block]\n      if (header === 1) break',
        '      if (block * 4 === memory.high) break\n      const header = i32[block]'
      ],
      ['const last = memory.high / 4 - 2', 'const last = memory.high / 4 - 1']
    ],
    kind: 'access',
    says: /read bytes (\d+) to \d+, beyond memory\.high \(\1\)[\s\S]*the last block has none/,
    in: 'coalesce'
  },
  {
    name: 'coalescing beyond the beginning of the heap',
    step: 3,
    change: [
      ['const prologue = memory.sbrk(16) / 4 + 1', 'const prologue = memory.sbrk(8) / 4 + 1'],
      [
        '  i32[prologue] = 8 | 1\n  i32[prologue + 1] = 8 | 1\n  i32[prologue + 2] = 1\n',
        '  i32[prologue] = 1\n'
      ],
      ['i32[block - 1] & 1', 'i32[block - 2] & 1']
    ],
    kind: 'access',
    says: /read bytes \d+ to \d+, below memory\.low[\s\S]*the first block has none/,
    in: 'coalesce'
  },
  {
    name: 'blocks too small for their links and tags',
    step: 4,
    change: [['const MINIMUM = 16', 'const MINIMUM = 8']],
    kind: 'overlap',
    says: pattern(
      /Cause: a free block of 8 bytes is too small for header, links and footer: [\s\S]*a link /,
      /was written over it by insert, line \d+/
    ),
    trace: 'random'
  },
  {
    name: 'a block that is inserted twice',
    step: 4,
    change: [['    insert(first)\n', '    insert(first)\n    insert(first)\n']],
    kind: 'access',
    says: pattern(
      /Cause: the block at byte \d+ was put on the free list twice: it links to itself \(byte /,
      /\d+\) since insert, line \d+/
    )
  },
  {
    name: 'a byte offset used as an index',
    step: 1,
    change: [['u32[block / 4] = size', 'u32[block] = size']],
    kind: 'access',
    says: pattern(
      /wrote bytes \d+ to \d+, beyond memory\.high[\s\S]*a byte offset was used as an index /,
      /without dividing it/
    ),
    in: 'malloc'
  },
  {
    name: 'NULL used as a pointer',
    step: 4,
    change: [
      ['block !== 0; block = i32[block + 1])\n      if', 'true; block = i32[block + 1]) if']
    ],
    kind: 'access',
    says: /in the page that NULL points to[\s\S]*a 0 that ends a list/,
    in: 'find'
  },
  {
    name: 'a path without a return',
    step: 4,
    change: [['    return (block + 1) * 4\n', '    if (rest < MINIMUM) return (block + 1) * 4\n']],
    kind: 'not-a-pointer',
    says: /malloc returned undefined, which is not a pointer[\s\S]*ends without a return/
  },
  {
    name: 'an allocator that is slow in every operation',
    symptom: true,
    step: 1,
    change: [
      [
        '    u32[block / 4] = size\n',
        '    for (let times = 0; times < 2_000_000; times++) u32[block / 4] = times\n    ' +
          'u32[block / 4] = size\n'
      ]
    ],
    // Don't examine why it is slow: it reads what it must not.
    limits: { trace: 0.5, suspicion: Number.POSITIVE_INFINITY },
    kind: 'slow',
    says: pattern(
      /the trace takes longer than 0\.5 s; \d+ of 4120 operations were done[\s\S]*walks through /,
      /too many blocks/
    ),
    trace: 'queue'
  },
  {
    name: 'exceptions that are caught and ignored',
    step: 3,
    change: [
      [
        '  function free(pointer: number): void {',
        '  function free(pointer: number): void {\n    try {\n      release(pointer)\n    ' +
          '} catch {}\n  }\n\n  function release(pointer: number): void {'
      ],
      ['    tag(first, size, 0)\n', '    tag(first, size, 0)\n    i32[memory.high / 4] = 1\n']
    ],
    kind: 'access',
    says: /wrote bytes (\d+) to \d+, beyond memory\.high \(\1\)/,
    in: 'coalesce'
  },
  {
    name: 'process.exit',
    step: 1,
    change: [
      ['(_pointer: number): void {}', '(_pointer: number): void {\n    process.exit(0)\n  }']
    ],
    kind: 'exception',
    says: pattern(
      /free threw ReferenceError: process is not defined[\s\S]*no modules, no process, no timers/
    ),
    in: 'free'
  },
  {
    name: 'endless buffers',
    step: 1,
    change: [
      [
        '  function free(_pointer: number): void {}',
        '  const log: Uint8Array[] = []\n  function free(_pointer: number): void {\n    ' +
          'for (;;) log.push(new Uint8Array(2 ** 20).fill(1))\n  }'
      ]
    ],
    // No second process, which would fill as much memory.
    limits: { suspicion: Number.POSITIVE_INFINITY },
    kind: 'runaway',
    says: pattern(
      /free of id 1:[\s\S]*JavaScript objects take more than 64 MiB, apart from the mapped memory/
    )
  },
  {
    name: 'a timer',
    step: 1,
    change: [
      [
        '(_pointer: number): void {}',
        '(pointer: number): void {\n    setTimeout(() => (u32[pointer / 4] = 0), 1)\n  }'
      ]
    ],
    kind: 'exception',
    says: pattern(
      /free threw ReferenceError: setTimeout is not defined[\s\S]*no modules, no process, no /,
      /timers/
    ),
    in: 'free'
  },
  {
    name: 'an async method',
    step: 1,
    change: [
      ['  function malloc(size: number): number {', '  async function malloc(size: number) {']
    ],
    kind: 'not-a-pointer',
    says: /malloc returned a Promise, which is not a pointer[\s\S]*the method is async/
  },
  {
    name: 'an async create',
    step: 1,
    change: [
      [
        'export function create(memory: Memory): Allocator',
        'export async function create(memory: Memory)'
      ]
    ],
    kind: 'load',
    says: /reate\(memory\) returned a Promise[\s\S]*Remove async/
  },
  {
    name: 'a syntax error',
    step: 1,
    change: [['return block + HEADER', 'return block + + HEADER)']],
    kind: 'load',
    says: /does not compile: Expected ";" but found "\)"[\s\S]*in allocator\.ts:\d+:\d+/
  },
  {
    name: 'no create',
    step: 1,
    change: [['export function create', 'export function make']],
    kind: 'load',
    says: /exports no function "create"[\s\S]*It exports make\./
  },
  {
    name: 'a used neighbour that is merged',
    step: 4,
    change: [
      ['    if ((i32[right] & 1) === 0) {', '    if (i32[right] > 1) {'],
      ['size += i32[right]', 'size += i32[right] & ~7']
    ],
    kind: 'access',
    says: pattern(
      /variant of the trace[\s\S]*Cause: the block of id \d+ is in use, as its header at byte \d+ /,
      /says [\s\S]*but was treated as free/
    ),
    trace: 'stack'
  },
  {
    name: 'a used bit that is lost in a split',
    step: 2,
    change: [['i32[block] = size | 1', 'i32[block] = size']],
    kind: 'overlap',
    says: pattern(
      /Cause: the header of id 61, at byte \d+, says that the block is free: 192, since malloc, /,
      /line \d+, in operation 111/
    ),
    trace: 'stack'
  },
  {
    name: 'a used bit that is not set without a split',
    step: 3,
    change: [['    } else tag(block, i32[block], 1)', '    }']],
    kind: 'overlap',
    says: /Cause: the header of id 0, at byte \d+, says that the block is free: 416, since tag/,
    trace: 'stack'
  },
  {
    name: 'a right neighbour whose left-used bit is not updated',
    step: 6,
    change: [['      i32[block + room / 4] |= LEFT_USED\n', '']],
    kind: 'overlap',
    says: pattern(
      /Cause: the footer at byte \d+ is out of date[\s\S]*Or the header behind it should say so, /,
      /which says 1 /
    ),
    trace: 'random'
  },
  {
    name: 'realloc into a neighbour that stays on the free list',
    step: 5,
    change: [['    remove(right)\n    tag(block, old', '    tag(block, old']],
    kind: 'overlap',
    says: pattern(
      /Cause: the free list leads to byte \d+, [\s\S]*the block there was merged into the one at /,
      /byte \d+, by tag, line \d+, called by grow, line \d+, in operation 2, and was not taken /,
      /off the list/
    ),
    trace: 'buffers'
  },
  {
    name: 'a block that keeps its old size when its end is cut off',
    step: 6,
    change: [['    i32[block] -= old - size\n', '']],
    kind: 'access',
    says: pattern(
      /Cause: the free block at byte \d+, made by insert, [\s\S]*lies inside the block of id 0: /,
      /its header, at byte \d+, still says 1651/
    ),
    trace: 'buffers'
  },
  {
    name: 'the left neighbour searched for at the wrong distance',
    step: 3,
    change: [['first -= i32[block - 1] / 4', 'first -= size / 4']],
    kind: 'overlap',
    says: pattern(
      /Cause: the footer in front of byte \d+ says that the left neighbour has 16 bytes, so it /,
      /begins at byte \d+; but the header of both together was written to byte/
    ),
    trace: 'stack'
  },
  {
    name: 'insertion that does not link back',
    step: 4,
    change: [['    if (next !== 0) i32[next + 2] = block\n', '']],
    kind: 'payload',
    says: pattern(
      /Cause: the free list leads to [\s\S]*That block did not link back to the one at byte 4108: /,
      /byte \d+ said 0, written by insert/
    ),
    trace: 'random'
  },
  {
    name: 'removal of the first block without updating the head of the list',
    step: 4,
    change: [['    else i32[head] = next\n', '']],
    kind: 'overlap',
    says: pattern(
      /Cause: [\s\S]*it became id 0 in operation 1, and was not taken off the list: the link at /,
      /byte 4096 still led to it/
    ),
    trace: 'random'
  },
  {
    name: 'a block size without room for the footer',
    step: 3,
    change: [['(bytes + 8 + 7) & ~7)\n    const block', '(bytes + 4 + 7) & ~7)\n    const block']],
    kind: 'exception',
    says: pattern(
      /Cause: the payload of id 5 reaches to byte \d+, over the footer of its block, which has 32 /,
      /bytes: too few for header, payload and footer/
    ),
    trace: 'stack'
  },
  {
    name: 'free that reads the header 4 bytes too early',
    step: 4,
    change: [
      [
        '    if (pointer === 0) return\n    const block = pointer / 4 - 1',
        '    if (pointer === 0) return\n    const block = pointer / 4 - 2'
      ]
    ],
    kind: 'access',
    says: pattern(
      /Cause: the header of the block is at byte 4140 and says 113 [\s\S]*but was not read; the /,
      /first word that was is at byte 4136\./
    )
  },
  {
    name: 'realloc in place without enough room',
    step: 5,
    change: [['if (size > old &&', 'if (size > old + 16 &&']],
    kind: 'realloc',
    says: pattern(
      /byte 8 was lost[\s\S]*Cause: byte \d+, in the payload of the old block, was overwritten by /,
      /tag, line \d+, called by place/
    ),
    trace: 'edges'
  },
  {
    name: 'removal from the list of the new size',
    symptom: true,
    step: 6,
    change: [
      [
        '    remove(block)\n    if (rest < MINIMUM) {',
        '    if (rest < MINIMUM) {\n      remove(block)'
      ],
      [
        '      i32[block] = size | USED | LEFT_USED\n',
        '      i32[block] = size | USED | LEFT_USED\n      remove(block)\n'
      ],
      ['      insert(block, rest)\n', '      remove(block)\n      insert(block, rest)\n']
    ],
    kind: 'access',
    says: /Cause: [\s\S]*and was not taken off the list: the link at byte 4160 still led to it/,
    trace: 'random'
  },
  {
    name: 'sizes rounded up to 4 bytes',
    step: 2,
    change: [['(bytes + 4 + 7) & ~7', '(bytes + 4 + 3) & ~3']],
    kind: 'access',
    says: pattern(
      /Cause: the header of id 0, at byte 4100, says 29 \(24 bytes, low bits 5\) [\s\S]*must be a /,
      /multiple of 8/
    )
  }
]

/**
 * Returns the source of a wrong allocator. Throws if a text to be replaced is missing.
 */
export function sourceOf(wrong: Wrong): string {
  let source = solution(wrong.step)
  for (const [from, to] of wrong.change) {
    if (!source.includes(from))
      throw new Error(`${wrong.name}: step ${wrong.step} has no text ${JSON.stringify(from)}`)
    source = source.replaceAll(from, to)
  }
  return wrong.check === true ? source : source.replace('realloc, check }', 'realloc }')
}

/** The ten wrong allocators of `offheap lab break`, and the steps of its correct ones. */
const TEN = [
  'realloc that copies 8 bytes too few',
  'realloc that frees before it copies',
  'a block size without room for the footer',
  'a footer that still says free when the block is allocated',
  'a merged neighbour that stays on the free list',
  'a link lost on removal',
  'blocks too small for their links and tags',
  'realloc in place without enough room',
  'a block that keeps its old size when its end is cut off',
  'a right neighbour whose left-used bit is not updated'
]
const RIGHT = [3, 4, 5, 6]

/** Returns the contents of labs/broken.br. */
export function brokenAllocators(): { readonly right: string[]; readonly wrong: string[] } {
  // Comments would reveal the step that it is derived from, and check() the mistake.
  const bare = (source: string) => source.replace(/\/\*\*[\s\S]*?\*\/\n?|^ *\/\/.*\n/gm, '')
  const wrong = TEN.map(name => {
    const found = wrongs.find(each => each.name === name)
    if (found === undefined) throw new Error(`there is no ${name}`)
    return bare(sourceOf(found))
  })
  const unchecked = (step: number) => solution(step).replace('realloc, check }', 'realloc }')
  return { right: RIGHT.map(step => bare(unchecked(step))), wrong }
}
