/**
 * Confines itself, tries forbidden operations, and prints the outcome of each. Arguments: the
 * addon, a file, a process to kill.
 */

import { spawnSync } from 'node:child_process'
import { openSync, renameSync, truncateSync, unlinkSync, writeFileSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Socket } from 'node:net'

const [addon, file, victim] = process.argv.slice(2)
const { lab } = createRequire(import.meta.url)(addon)
// The first use of a socket loads a module, so use one before files can't be opened.
new Socket().destroy()
const said = []
const attempt = (name, act) => {
  try {
    const result = act()
    said.push([name, result?.error?.code ?? 'done'])
  } catch (error) {
    said.push([name, error.code])
  }
}
const force = lab.confine(4 * 2 ** 30, 60)
attempt('read', () => openSync(file))
attempt('write', () => writeFileSync(file, ''))
attempt('truncate', () => truncateSync(file))
attempt('delete', () => unlinkSync(file))
attempt('rename', () => renameSync(file, `${file}-`))
attempt('start', () => spawnSync('true'))
attempt('kill', () => process.kill(Number(victim), 'SIGKILL'))
attempt('kill the group', () => process.kill(-Number(victim), 'SIGKILL'))
attempt('compute', () => new Uint8Array(2 ** 20).fill(1))
writeSync(1, `${JSON.stringify({ force, said })}\n`)
const socket = new Socket()
socket.on('error', error => {
  writeSync(1, `${JSON.stringify(error.code)}\n`)
})
socket.connect(1, '127.0.0.1')
