/** Reports the state and contents of a heap file without changing it: `offheap inspect`. */
import type { HeapStats } from '../engine/engine.js'
import { OffheapError } from '../errors.js'
import { Heap } from '../heap/heap.js'
import { CUT, MAGIC, MAGIC_WORD, PENDING_WORD } from '../layout/header.js'
import { HeapFile } from '../sharing/heap-file.js'
import { countThreads, engineToLook } from '../sharing/shared-file.js'
import { CLOSED, type Id, OPEN, type Superblock, VERSION } from '../sharing/superblock.js'
import { humanBytes, humanCount } from '../sizes.js'
import { heapPicture, type PictureOptions, type PictureSource } from './picture.js'

export interface FileReport {
  readonly path: string
  /** The bytes of the file. */
  readonly size: number
  /**
   * `open`: in use by a running process. `dead`: was in use when its process, or the machine,
   * stopped.
   */
  readonly state: 'open' | 'dead' | 'closed'
  /** Whether several processes can open the file at a time. */
  readonly shared: boolean
  readonly arenas: number
  /** The number of threads that have the file open. */
  readonly threads: number
  /** Whether everything was written to the disk when the file was closed. */
  readonly synced: boolean
  /** The last process that opened the file. */
  readonly holder: number
  /** Whether the machine stopped since then. */
  readonly rebooted: boolean
  readonly version: number
  readonly id: string
  /** The number of syncs. */
  readonly generation: number
  readonly root: number
  /** The named roots. */
  readonly roots: Readonly<Record<string, number>>
  readonly placement: string | undefined
  readonly stats: HeapStats | undefined
  /** The error of check(), if any; for a dead heap, after recovery of a copy. */
  readonly fault: string | undefined
  /** The heap as text. */
  readonly picture: string | undefined
}

/** An open heap is read up to this many times, until a consistent state is found. */
const ATTEMPTS = 5

/** Inspects a file. Throws like Heap.open if the file is not a heap. */
export function inspectFile(path: string, options: PictureOptions): FileReport {
  for (let attempt = 1; ; attempt++) {
    try {
      const report = lookAt(path, options)
      if (report.state !== 'open' || report.fault === undefined || attempt === ATTEMPTS)
        return report
    } catch (error) {
      // Another process may be writing a root at this moment.
      const isCorrupt = error instanceof OffheapError && error.code === 'ERR_OFFHEAP_CORRUPT'
      if (!isCorrupt || attempt === ATTEMPTS) throw error
    }
  }
}

function lookAt(path: string, options: PictureOptions): FileReport {
  const { file, block, inUse } = HeapFile.look(path)
  try {
    return reportOn(path, options, file, block, inUse)
  } finally {
    file.release()
  }
}

/** A heap to report on. */
interface Source extends PictureSource {
  readonly placement: string
  stats(): HeapStats
}

/** Recovers a copy in memory, to show what recovery would do. Throws ERR_OFFHEAP_CORRUPT. */
function sourceOf(file: HeapFile, inUse: boolean): Source {
  if (file.isShared) {
    const engine = engineToLook(file, inUse)
    engine.check()
    return {
      placement: engine.placement,
      stats: () => engine.stats(file.residentBytes()),
      blocks: () => engine.eachBlock()
    }
  }
  const words = new Int32Array(file.body)
  if ((inUse || file.unclean) && words[MAGIC_WORD] === MAGIC) words[PENDING_WORD] = CUT
  return Heap.attach(file.body)
}

function reportOn(
  path: string,
  options: PictureOptions,
  file: HeapFile,
  block: Superblock,
  inUse: boolean
): FileReport {
  const roots = Object.fromEntries(file.roots.keys().map(name => [name, file.roots.get(name) ?? 0]))
  let heap: Source | undefined
  let fault: string | undefined
  try {
    heap = sourceOf(file, inUse)
  } catch (error) {
    fault = error instanceof Error ? error.message : String(error)
  }
  return {
    path,
    size: file.body.byteLength + file.headBytes,
    state: inUse ? 'open' : file.unclean ? 'dead' : 'closed',
    shared: file.isShared,
    arenas: file.geometry.arenas,
    threads: file.isShared ? countThreads(file) : inUse ? 1 : 0,
    synced: block.state !== OPEN && block.state !== CLOSED,
    holder: block.holder,
    rebooted: file.rebooted,
    version: VERSION,
    id: hexadecimal(block.fileId),
    generation: block.generation,
    root: file.root,
    roots,
    placement: heap?.placement,
    stats: heap?.stats(),
    fault,
    picture: heap === undefined ? undefined : heapPicture(heap, options)
  }
}

function hexadecimal(id: Id): string {
  return id.map(word => (word >>> 0).toString(16).padStart(8, '0')).join('')
}

/** The report as text. */
export function fileReportText(report: FileReport): string {
  const { path, size, placement, stats, fault, picture } = report
  const rows: [string, string][] = [
    ['state', stateOf(report)],
    ['size', humanBytes(size)],
    ['id', report.id],
    ['synced', `${humanCount(report.generation)} times`]
  ]
  if (report.shared) rows.push(['arenas', `${report.arenas}`])
  if (placement !== undefined) rows.push(['placement', placement])
  if (stats !== undefined) {
    rows.push(
      ['used', `${humanBytes(stats.used)} in ${humanCount(stats.blocks)} blocks`],
      ['free', `${humanBytes(stats.free)}, largest request ${humanBytes(stats.largestFree)}`]
    )
    if (stats.slabs > 0) rows.push(['slabs', humanBytes(stats.slabs)])
  }
  rows.push(['root', pointer(report.root)])
  for (const [name, root] of Object.entries(report.roots))
    rows.push([`root ${JSON.stringify(name)}`, pointer(root)])
  rows.push([
    'check',
    fault ?? (report.state === 'closed' ? 'nothing is wrong' : 'nothing is wrong, once recovered')
  ])
  const width = Math.max(...rows.map(([name]) => name.length))
  const table = rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)
  return [path, ...table, ...(picture === undefined ? [] : ['', picture])].join('\n')
}

function pointer(value: number): string {
  return value === 0 ? 'none' : `byte ${value}`
}

function stateOf({ state, shared, threads, holder, synced, rebooted }: FileReport): string {
  if (state === 'open' && shared) {
    const who = `${threads} ${threads === 1 ? 'thread' : 'threads'}, last by process ${holder}`
    return `open, in ${who}: what follows is a snapshot that may contradict itself`
  }
  if (state === 'open')
    return `open, by process ${holder}: what follows is a snapshot that may contradict itself`
  if (state === 'dead') {
    return (
      `not closed by process ` +
      `${holder}${rebooted ? ', and the machine started again since' : ''}; opening it recovers it`
    )
  }
  return synced ? 'closed, every byte on the disk' : 'closed'
}
