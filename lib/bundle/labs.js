/**
 * Runs before offheap-labs is packed (`npm pack ./labs`): copies the page of `offheap play` and the
 * licence to the files of the course.
 */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const labs = join(root, 'labs')

rmSync(join(labs, 'play'), { recursive: true, force: true })
cpSync(join(root, 'dist/play/page'), join(labs, 'play'), { recursive: true })
cpSync(join(root, 'LICENSE'), join(labs, 'LICENSE'))
