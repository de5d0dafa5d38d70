/** Who takes part, by name: what the tables call them and what they can be asked to do. Opening one is open.ts's. */

export interface Contender {
  readonly id: string
  readonly label: string
  /** Where its loop runs: JavaScript, or the C++ addon of the benchmark. */
  readonly loop: 'js' | 'c++'
  /** Whether it hands out Buffers or Uint8Arrays instead of pointers. */
  readonly buffers: boolean
  /** More live blocks than this take it minutes: it isn't asked. */
  readonly maxLive: number
}

export const PLACEMENTS = ['first-fit', 'segregated-fit', 'best-fit', 'next-fit'] as const

function contender(id: string, label: string, rest: Partial<Contender> = {}): Contender {
  return { id, label, loop: 'js', buffers: false, maxLive: Infinity, ...rest }
}

export const CONTENDERS: readonly Contender[] = [
  ...PLACEMENTS.flatMap(name => [
    contender(name, `offheap ${name}`),
    contender(`${name}+quick`, `offheap ${name}, quick lists`)
  ]),
  contender('heap-buffers', 'offheap allocBuffer', { buffers: true }),
  contender('heap-buffers+quick', 'offheap allocBuffer, quick lists', { buffers: true }),
  contender('glibc-c++', 'C library, C++ loop', { loop: 'c++' }),
  contender('mimalloc-c++', 'mimalloc, C++ loop', { loop: 'c++' }),
  contender('jemalloc-c++', 'jemalloc, C++ loop', { loop: 'c++' }),
  contender('glibc-call', 'C library, a Node-API call each'),
  contender('dlmalloc-wasm', 'dlmalloc, WebAssembly'),
  contender('tlsf-wasm', 'AssemblyScript TLSF, WebAssembly'),
  contender('thi.ng', '@thi.ng/malloc', { maxLive: 1000 }),
  contender('Buffer.alloc', 'Buffer.alloc', { buffers: true }),
  contender('Buffer.allocUnsafe', 'Buffer.allocUnsafe', { buffers: true }),
  contender('Buffer.allocUnsafeSlow', 'Buffer.allocUnsafeSlow', { buffers: true }),
  contender('Uint8Array', 'new Uint8Array', { buffers: true }),
  contender('nothing', 'nothing (harness floor)')
]

export function contenderOf(id: string): Contender {
  const found = CONTENDERS.find(one => one.id === id)
  if (found === undefined) {
    throw new RangeError(`No contender is called '${id}'. There are: ${CONTENDERS.map(one => one.id).join(', ')}`)
  }
  return found
}
