/** The names of recordings in tables. */
import { relative } from 'node:path'
import { traceName } from '#lib/trace/read.js'

/** The names of the recordings; the whole path if two have the same name. */
export function traceLabels(paths: readonly string[]): string[] {
  const names = paths.map(traceName)
  return names.map((name, i) => {
    const isAlone = names.indexOf(name) === names.lastIndexOf(name)
    return isAlone ? name : relative('', paths[i] ?? '').replace(/\.rep(\.gz)?$/, '')
  })
}
