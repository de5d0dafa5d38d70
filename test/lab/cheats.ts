/**
 * Submissions that try to get points without earning them. Each is a correct allocator with an
 * addition, or a fake allocator. The tests check what the judge says about each.
 */

import type { FaultKind } from '../../lib/lab/submission/fault.js'
import { pattern } from './wrong.js'

export interface Cheat {
  readonly name: string
  /** The step of the solution that it is derived from. */
  readonly step: number
  /** Pairs of texts: every occurrence of the first is replaced by the second. */
  readonly change: readonly (readonly [from: string, to: string])[]
  readonly kind: FaultKind
  readonly says: RegExp
  /** The trace that it is graded on. Default: `queue`. */
  readonly trace?: string
}

const TOP = 'export function create(memory: Memory): Allocator {\n'
const MALLOC = '  function malloc(bytes: number): number {\n'
const FREE = '    if (pointer === 0) return\n'
const END = '  return { malloc, free, realloc, check }'

/** Adds code to malloc. */
const inMalloc = (code: string): [string, string] => [MALLOC, `${MALLOC}    ${code}\n`]
/** Adds code at the top of the file, where it runs once. */
const atTop = (code: string): [string, string] => [TOP, `${code}\n${TOP}`]
const inCreate = (code: string): [string, string] => [TOP, `${TOP}  ${code}\n`]
/** Numbers the heaps: `mine` is the number of earlier ones. */
const COUNT: [string, string][] = [atTop('let heaps = 0'), inCreate('const mine = heaps++')]
const BUMP: [string, string][] = [
  inMalloc('if (mine > 1) return memory.sbrk((bytes + 15) & ~7)'),
  [FREE, `${FREE}    if (mine > 1) return\n`]
]
/** The end of the solution of step 1, whose allocator `books` replaces. */
const LAST = '  return { malloc, free, realloc }'
/** Replaces the allocator by one that keeps its records as this code says. */
const books = (
  state: string,
  find: string,
  grow: string,
  take: string,
  drop: string,
  sizeOf: string
): [string, string] => [
  LAST,
  `${state}
  const take = (bytes: number): number => {
    const size = Math.max(8, (bytes + 7) & ~7)
    ${find}
    const at = memory.sbrk(size)
    ${grow}
    ${take}
    return at
  }
  const drop = (at: number) => {
    ${drop}
  }
  const move = (at: number, bytes: number): number => {
    const to = take(bytes)
    if (at === 0) return to
    u8.copyWithin(to, at, at + Math.min(bytes, ${sizeOf}))
    drop(at)
    return to
  }
  return { malloc: take, free: drop, realloc: move }`
]
const MAP = books(
  'const frees = new Map<number, number>()\n  const sizes = new Map<number, number>()',
  'for (const [at, room] of frees) {\n      if (room < size) continue\n      ' +
    'frees.delete(at)\n      sizes.set(at, room)\n      return at\n    }',
  'sizes.set(at, size)',
  '',
  'if (at !== 0) frees.set(at, sizes.get(at) ?? 0)',
  'sizes.get(at) ?? 0'
)

export const cheats: readonly Cheat[] = [
  {
    name: "sends the judge's messages itself",
    step: 4,
    change: [inMalloc('process.send({ outcome: { utilization: 1, timing: { ratio: 9 } } })')],
    kind: 'exception',
    says: /malloc threw ReferenceError: process is not defined[\s\S]*no modules, no process/
  },
  {
    name: 'imports the judge to replace one of its methods',
    step: 4,
    change: [
      atTop(
        'import { Verifier } from ' +
          "'../dist/lab/submission/verify.js'\nVerifier.prototype.step = () => {}"
      )
    ],
    kind: 'load',
    says: /it imports \.\.\/dist\/lab\/submission\/verify\.js, which is not one of its own files/
  },
  {
    name: 'imports a Node module to overwrite traces',
    step: 4,
    change: [atTop("import { writeFileSync } from 'node:fs'\nwriteFileSync('/tmp/trace', '')")],
    kind: 'load',
    says: /it imports node:fs, which is not one of its own files/
  },
  {
    name: 'requires a module late, to start a process',
    step: 4,
    change: [inMalloc("require('node:child_process').spawn('sh', { detached: true })")],
    kind: 'load',
    says: /it imports node:child_process, which is not one of its own files/
  },
  {
    name: 'escapes through the constructor of a function',
    step: 4,
    change: [inCreate("Reflect.get(memory.sbrk, 'constructor')('return process')().exit()")],
    kind: 'exception',
    says: /EvalError: Code generation from strings disallowed/
  },
  {
    name: 'escapes through the buffer of a view',
    step: 4,
    change: [
      inCreate(
        "Reflect.get(memory.u8.buffer.constructor, 'constructor')('return process')().kill(1)"
      )
    ],
    kind: 'exception',
    says: /EvalError: Code generation from strings disallowed/
  },
  {
    name: 'escapes through the console',
    step: 4,
    change: [inCreate("Reflect.get(console.log, 'constructor')('return process')().exit()")],
    kind: 'exception',
    says: /EvalError: Code generation from strings disallowed/
  },
  {
    name: 'is a bump allocator except for the first heaps',
    step: 4,
    change: [...COUNT, ...BUMP],
    kind: 'unlike',
    says: pattern(
      /later replay of the same trace went another way than the one that was verified: it /,
      /returned \d+ for operation \d+/
    )
  },
  {
    name: 'remembers the pointers of an earlier heap',
    step: 4,
    change: [
      ...COUNT,
      atTop('const book = new Int32Array(5000)\nlet end = 0'),
      inCreate('let calls = 0'),
      [
        END,
        `  if (mine > 2) memory.sbrk(end - memory.high)
  return {
    malloc: (bytes: number) => {
      const i = calls++
      if (mine > 2) return book[i]
      book[i] = malloc(bytes)
      end = memory.high
      return book[i]
    },
    free: (pointer: number) => (mine > 2 ? undefined : free(pointer)),
    realloc
  }`
      ]
    ],
    kind: 'unlike',
    says: /later replay of the same trace went another way than the one that was verified/
  },
  {
    name: 'copies nothing in realloc except for the first heaps',
    step: 4,
    trace: 'grow',
    change: [...COUNT, ['    u8.copyWithin(moved', '    if (mine < 3) u8.copyWithin(moved']],
    kind: 'unlike',
    says: /realloc lost what the block held/
  },
  {
    name: 'takes more memory when it is not being verified',
    step: 4,
    change: [
      ...COUNT,
      inCreate('let calls = 0'),
      inMalloc('if (++calls === 2000 && mine > 1) memory.sbrk(4096)')
    ],
    kind: 'unlike',
    says: /later replay of the same trace went another way/
  },
  {
    name: 'keeps a Map at the top of the file',
    step: 1,
    change: [
      [MAP[0], MAP[1].replace(/const (frees|sizes) = .*\n/g, '')],
      atTop('const frees = new Map<number, number>()\nconst sizes = new Map<number, number>()')
    ],
    kind: 'shared-state',
    says: /two heaps at a time disturb each other/
  },
  {
    name: 'keeps its records in a Map in each heap',
    step: 1,
    change: [MAP],
    kind: 'state-outside',
    says: /payloads was set to 0[\s\S]*The allocator found \d+ of the holes again all the same/
  },
  {
    name: 'keeps its records in a large table in each heap',
    step: 1,
    change: [
      books(
        'const room = new Int32Array(65536)\n  const used = new Uint8Array(65536)\n  let ' +
          'end = 0\n  const { low } = memory',
        'for (let i = 0; i < end; i += room[i]) {\n      if (used[i] === 1 || room[i] * 8 ' +
          '< size) continue\n      used[i] = 1\n      return low + i * 8\n    }',
        'room[end] = size / 8',
        'used[end] = 1\n    end += size / 8',
        'if (at !== 0) used[(at - low) / 8] = 0',
        'room[(at - low) / 8] * 8'
      )
    ],
    kind: 'state-outside',
    says: /The allocator found \d+ of the holes again all the same/
  },
  {
    name: 'keeps its records in the bits of one number',
    step: 1,
    change: [
      books(
        'let bits = 0n\n  const room: number[] = []',
        'for (let i = 0; i < room.length; i += 2) {\n      if (((bits >> BigInt(i)) & 1n) ' +
          '=== 0n || room[i + 1] < size) continue\n      bits ^= 1n << BigInt(i)\n      ' +
          'return room[i]\n    }',
        'room.push(at, size)',
        '',
        'if (at !== 0) bits |= 1n << BigInt(room.findIndex((each, i) => i % 2 === 0 && ' +
          'each === at))',
        'room[room.findIndex((each, i) => i % 2 === 0 && each === at) + 1]'
      )
    ],
    kind: 'state-outside',
    says: /The allocator found \d+ of the holes again all the same/
  },
  {
    name: 'stores data beyond the end of the heap, after a while',
    step: 4,
    change: [
      inCreate('let calls = 0'),
      inMalloc(
        'if (++calls === 2000) for (let i = 0; i < 20000; i++) i32[memory.high / 4 + 20000 + i] = 7'
      )
    ],
    kind: 'access',
    says: /bytes were used beyond the end of the heap: sbrk never handed them out/
  },
  {
    name: 'takes the buffer of a view to avoid being watched',
    step: 4,
    change: [
      [
        '  const { u8, i32 } = memory',
        '  const { u8 } = memory\n  const i32 = new Int32Array(u8.buffer)'
      ]
    ],
    kind: 'access',
    says: /he allocator took u8\.buffer[\s\S]*use the views that memory has/
  },
  {
    name: 'replaces Math.floor',
    step: 4,
    change: [atTop('Math.floor = value => value | 0')],
    kind: 'tampering',
    says: /he submission replaced Math\.floor, a part of the language itself/
  },
  {
    name: 'replaces a method of all arrays',
    step: 4,
    change: [atTop('Int32Array.prototype.fill = function () {\n  return this\n}')],
    kind: 'tampering',
    says: /replaced \S*fill, a part of the language itself/
  },
  {
    name: 'stops the clock',
    step: 4,
    change: [atTop('Date.now = () => 0')],
    kind: 'tampering',
    says: /replaced Date\.now/
  },
  {
    name: 'inspects the stack of its callers',
    step: 4,
    change: [
      inMalloc(
        "if (/timed|timing/.test(new Error().stack ?? '')) return memory.sbrk((bytes + 15) & ~7)"
      ),
      atTop('Error.prepareStackTrace = (_, sites) => sites.map(site => site.getThis()).join()')
    ],
    kind: 'tampering',
    says: /replaced Error\.prepareStackTrace/
  },
  {
    name: 'redefines the end of the heap',
    step: 4,
    change: [inCreate("Object.defineProperty(memory, 'high', { value: memory.low })")],
    kind: 'exception',
    says: /TypeError: Cannot redefine property: high/
  },
  {
    name: 'returns an object that converts to a valid pointer',
    step: 4,
    change: [inMalloc('if (bytes > 0) return { valueOf: () => memory.low } as unknown as number')],
    kind: 'not-a-pointer',
    says: /malloc returned an object, which is not a pointer/
  },
  {
    name: "throws a value that can't be read",
    step: 4,
    change: [inMalloc('if (bytes > 0) throw { get name() { throw null } }')],
    kind: 'exception',
    says: /malloc threw something that can't be described/
  },
  {
    name: 'frees in a later turn of the event loop',
    step: 4,
    change: [[FREE, `${FREE}    setTimeout(() => {}, 1)\n`]],
    kind: 'exception',
    says: /free threw ReferenceError: setTimeout is not defined/
  },
  {
    name: 'keeps its records in a string',
    step: 1,
    change: [
      books(
        "let text = ''",
        'for (let i = 0; i < text.length; i += 24) {\n      const [at, room, free] = ' +
          "text.slice(i, i + 24).split(',').map(Number)\n      if (free !== 1 || room < size) " +
          'continue\n      text = text.slice(0, i) + `${at},${room},0`.padEnd(24) + ' +
          'text.slice(i + 24)\n      return at\n    }',
        'text += `${at},${size},0`.padEnd(24)',
        '',
        'for (let i = 0; i < text.length; i += 24) {\n      const [begin, room] = ' +
          "text.slice(i, i + 24).split(',').map(Number)\n      if (begin === at) text = " +
          'text.slice(0, i) + `${at},${room},1`.padEnd(24) + text.slice(i + 24)\n    }',
        "Number(text.slice(text.indexOf(`${at},`)).split(',')[1])"
      )
    ],
    kind: 'state-outside',
    says: /The allocator found \d+ of the holes again all the same/
  },
  {
    name: 'keeps its records in a property of a view',
    step: 1,
    change: [
      [
        MAP[0],
        MAP[1]
          .replace('const frees = ', 'const frees: Map<number, number> = (u8 as any).frees = ')
          .replace('const sizes = ', 'const sizes: Map<number, number> = (u8 as any).sizes = ')
      ]
    ],
    kind: 'state-outside',
    says: /The allocator found \d+ of the holes again all the same/
  },
  {
    name: 'keeps its records in linked objects',
    step: 1,
    change: [
      books(
        'type Node = { at: number; room: number; free: boolean; next: Node | null }\n  let head: ' +
          'Node | null = null',
        'for (let node = head; node !== null; node = node.next) {\n      if (!node.free || ' +
          'node.room < size) continue\n      node.free = false\n      return node.at\n    }',
        'head = { at, room: size, free: false, next: head }',
        '',
        'for (let node = head; node !== null; node = node.next)\n      if (node.at === at) ' +
          'node.free = true',
        '(() => {\n      let node = head\n      while (node !== null && node.at !== at) node = ' +
          'node.next\n      return node?.room ?? 0\n    })()'
      )
    ],
    kind: 'state-outside',
    says: /The allocator found \d+ of the holes again all the same/
  },
  {
    name: 'returns a different malloc each time it is looked up, after a while',
    step: 4,
    change: [
      ...COUNT,
      [
        END,
        '  return { get malloc() {\n    return mine < 2 ? malloc : (bytes: number) => ' +
          'memory.sbrk((bytes + 15) & ~7)\n  }, free: (p: number) => (mine < 2 ? free(p) : ' +
          'undefined), realloc }'
      ]
    ],
    kind: 'unlike',
    says: /later replay of the same trace went another way than the one that was verified/
  },
  {
    name: 'replaces memory.sbrk',
    step: 4,
    change: [inCreate('(memory as any).sbrk = () => memory.low')],
    kind: 'exception',
    says: /TypeError: Cannot assign to read only property 'sbrk'/
  },
  {
    name: 'shares one of the views of the memory between heaps',
    step: 4,
    change: [
      atTop('let shared: Memory | undefined'),
      inCreate('shared ??= memory'),
      ['const { u8, i32 } = memory', 'const { u8, i32 } = shared']
    ],
    kind: 'shared-state',
    says: /two heaps at a time disturb each other/
  }
]
