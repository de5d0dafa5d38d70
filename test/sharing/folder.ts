/**
 * A folder for heap files of tests: in memory where the system has one, since tests wait for every
 * sync.
 */
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export function newFolder(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'offheap-files-'))
}
