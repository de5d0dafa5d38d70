/**
 * Gives up its rights, tries what it has none for, and prints what came of each. Arguments: the
 * addon, a file, a process to kill.
 */

import { spawnSync } from 'node:child_process'
import { openSync, renameSync, truncateSync, unlinkSync, writeFileSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Socket } from 'node:net'

const [addon, file, victim] = process.argv.slice(2)
const { lab } = createRequire(import.meta.url)(addon)
// A module of its own is loaded when a socket is first used, which opens nothing.
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
