/** Finds the recordings to replay. */
import { existsSync, readdirSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { ROOT } from './paths.js'

/** The folder of the recordings that ship. */
export const SHIPPED = `${ROOT}traces`

/** Paths of the `.rep` and `.rep.gz` files in the folders, by name. Throws when there are none. */
export function findTraces(folders: readonly string[]): string[] {
  const paths: string[] = []
  for (const folder of folders) {
    if (!existsSync(folder)) throw new Error(`There is no folder ${resolve(folder)} to read traces from`)
    const files = readdirSync(folder).filter(file => /\.rep(\.gz)?$/.test(file))
    paths.push(...files.sort().map(file => resolve(folder, file)))
  }
  if (paths.length === 0) throw new Error(`No traces (.rep, .rep.gz) in ${folders.join(', ')}`)
  return paths
}

/** `traces/vim.rep.gz` is `vim`. */
export function traceName(path: string): string {
  return basename(path).replace(/\.rep(\.gz)?$/, '')
}
