/**
 * Creates a folder for the heap files of tests. It is on a memory file system if there is one,
 * since tests wait for every sync.
 */
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export function newFolder(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'offheap-files-'))
}
