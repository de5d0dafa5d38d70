/**
 * Before offheap-labs is packed: brings the page of `offheap play` and the licence beside the files
 * of the course. `npm pack ./labs` runs it.
 */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const labs = join(root, 'labs')

rmSync(join(labs, 'play'), { recursive: true, force: true })
cpSync(join(root, 'dist/play/page'), join(labs, 'play'), { recursive: true })
cpSync(join(root, 'LICENSE'), join(labs, 'LICENSE'))
