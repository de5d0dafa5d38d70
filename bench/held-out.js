/**
 * Records other programs, which no change was tuned for: `node bench/held-out.js FOLDER`. Design
 * decisions are based on traces/; these recordings show how well the result generalizes:
 *
 *     node bench/held-out.js /tmp/held-out
 *     npm run bench -- --targets --traces /tmp/held-out ../shared/traces
 *
 * Skips programs that this machine doesn't have. Linux only, like `offheap record`.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const OFFHEAP = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))

/** A recording with fewer operations shows only the start of a program. */
const LEAST_OPERATIONS = 2000

const INPUTS = {
  'words.cc': `#include <map>
#include <string>
#include <vector>
int main() {
  std::map<std::string, std::vector<int>> words;
  words["a"].push_back(1);
  return words.size();
}
`,
  'words.rs': `use std::collections::HashMap;
fn main() {
  let mut words: HashMap<String, Vec<u32>> = HashMap::new();
  words.entry("a".into()).or_default().push(1);
}
`,
  'lists.cmake': `foreach(i RANGE 800)
  set(list "\${list};item\${i}")
  string(REGEX REPLACE "m([0-9])" "n\\\\1" changed "\${i}item1")
endforeach()
`,
  'words.lua': `local t = {}
for i = 1, 9000 do
  local k = "k" .. (i * 7919 % 997)
  t[k] = t[k] or {}
  table.insert(t[k], { id = i, name = "n" .. i })
  if #t[k] > 9 then t[k] = nil end
end
`
}

/** By the name of the recording: the program, looked up in PATH, and its arguments. */
const PROGRAMS = {
  cc1plus: [
    output('g++', '-print-prog-name=cc1plus'),
    '-quiet',
    '-imultiarch',
    'x86_64-linux-gnu',
    'words.cc',
    '-o',
    '/dev/null'
  ],
  cmake: ['cmake', '-P', 'lists.cmake'],
  curl: ['curl', '-s', 'file:///usr/include/stdlib.h'],
  gdb: [
    'gdb',
    '-q',
    '-batch',
    '-nx',
    '-ex',
    'info functions mall',
    '-ex',
    'disassemble main',
    '/usr/bin/bash'
  ],
  java: ['java', '-version'],
  lua: ['lua5.4', 'words.lua'],
  nm: ['nm', '-C', output('gcc', '-print-file-name=libstdc++.so')],
  objdump: ['objdump', '-dC', '/usr/bin/objdump'],
  rustc: ['rustc', '--emit=metadata', '-o', '/dev/null', 'words.rs'],
  tar: ['tar', 'cf', '/dev/null', '--sort=name', '/usr/include/linux', '/usr/include/c++'],
  zstd: ['zstd', '-q', '-c', '-r', '/usr/include/linux']
}

/** The first line that a command prints; '' if there is no such command. */
function output(command, ...args) {
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return stdout?.split('\n')[0] ?? ''
}

function record(folder, name, [program, ...args]) {
  const file = join(folder, `${name}.rep.gz`)
  const { status, stderr } = spawnSync(
    process.execPath,
    [OFFHEAP, 'record', '-o', file, '--', program, ...args],
    {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      maxBuffer: 2 ** 26
    }
  )
  const said = stderr.trim().split('\n').at(-1) ?? ''
  const operations = Number(/: ([\d,]+) operations/.exec(said)?.[1]?.replaceAll(',', '') ?? 0)
  if (status === 0 && operations >= LEAST_OPERATIONS) return said.replace(`${folder}/`, '')
  rmSync(file, { force: true })
  return `${name}: left out: ${operations > 0 ? `only ${operations} operations` : said}`
}

const [target] = process.argv.slice(2)
if (target === undefined) {
  console.error('Say where to put the recordings: node bench/held-out.js FOLDER')
  process.exit(2)
}
const folder = resolve(target)
mkdirSync(folder, { recursive: true })
const there = readdirSync(folder)
if (there.some(name => /\.rep(\.gz)?$/.test(name))) {
  console.error(
    `${folder} has recordings already. Choose an empty folder, so that all of them are fresh.`
  )
  process.exit(2)
}
for (const [name, text] of Object.entries(INPUTS)) writeFileSync(join(folder, name), text)
for (const [name, command] of Object.entries(PROGRAMS)) console.log(record(folder, name, command))
for (const name of Object.keys(INPUTS)) rmSync(join(folder, name))
