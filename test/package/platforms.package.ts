/**
 * Binaries for other platforms that can be run here: arm64 under qemu, and the recorder on musl.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { addRow, has, install, nodeOf, project, ROOT, report, run } from './support.js'

const QEMU = 'qemu-aarch64-static'
/** The C library of arm64, where Debian's cross compiler puts it. */
const SYSROOT = '/usr/aarch64-linux-gnu'
const canRunArm =
  process.platform === 'linux' &&
  process.arch === 'x64' &&
  has(QEMU) &&
  existsSync(`${SYSROOT}/lib`)

describe.runIf(canRunArm)('linux-arm64, under qemu', () => {
  const env = { ...process.env, QEMU_LD_PREFIX: SYSROOT, NODE_OPTIONS: '' }

  test.each([22, 24])('Node %d maps, allocates, and closes', major => {
    const folder = project()
    install(folder)
    const printed = run(folder, QEMU, [nodeOf(major, 'arm64'), 'probe.mjs'], { env })
    expect(report('import, qemu', folder, printed)).toMatchObject({
      addon: 'prebuilds/linux-arm64/offheap.glibc.node'
    })
    expect(printed).toContain('"arch":"arm64"')
  })

  test('the command replays and verifies a trace', () => {
    const folder = project()
    install(folder)
    const args = [
      nodeOf(22, 'arm64'),
      'node_modules/offheap/dist/cli/main.js',
      'replay',
      '--verify'
    ]
    expect(run(folder, QEMU, [...args, join(ROOT, 'traces/vim.rep.gz')], { env })).toContain('vim')
  })

  test.runIf(has('aarch64-linux-gnu-gcc'))('the recorder records a program', () => {
    const folder = project({ 'program.c': PROGRAM })
    install(folder)
    run(folder, 'aarch64-linux-gnu-gcc', ['-O0', 'program.c', '-o', 'program'])
    const recorder = join(folder, 'node_modules/offheap/prebuilds/linux-arm64/recorder.glibc.so')
    // qemu itself must pass LD_PRELOAD on to a program; the wrapper arranges that.
    writeFileSync(
      join(folder, 'wrapper'),
      `#!/bin/sh\nexec env -u LD_PRELOAD ${QEMU} -E LD_PRELOAD="$LD_PRELOAD" ./program\n`,
      { mode: 0o755 }
    )
    expect(recordWith(folder, recorder, './wrapper', env)).toEqual([...TRACE])
    row('recorder, qemu', 'arm64 program', folder, 'prebuilds/linux-arm64/recorder.glibc.so')
  })
})

describe.runIf(process.platform === 'linux' && process.arch === 'x64' && has('musl-gcc'))(
  'linux-x64 on musl',
  () => {
    test('the recorder records a program', () => {
      const folder = project({ 'program.c': PROGRAM })
      install(folder)
      run(folder, 'musl-gcc', ['-O0', 'program.c', '-o', 'program'])
      const recorder = join(folder, 'node_modules/offheap/prebuilds/linux-x64/recorder.musl.so')
      expect(recordWith(folder, recorder, './program')).toEqual([...TRACE])
      row('recorder, musl', 'x64 musl program', folder, 'prebuilds/linux-x64/recorder.musl.so')
    })

    test.runIf(has('nm'))('the addon finds in musl all that it does not take from Node', () => {
      const folder = project()
      install(folder)
      const addon = join(folder, 'node_modules/offheap/prebuilds/linux-x64/offheap.musl.node')
      // A program that defines Node's functions, none of which is called.
      const wanted =
        run(folder, 'nm', ['-D', '--undefined-only', addon]).match(/\b(napi|node_api)_\w+/g) ?? []
      expect(wanted).toContain('napi_create_external_arraybuffer')
      const stubs = wanted.map(name => `void ${name}(void) { abort(); }\n`)
      writeFileSync(join(folder, 'load.c'), `#include <stdlib.h>\n${stubs.join('')}${LOAD}`)
      run(folder, 'musl-gcc', ['-O0', '-rdynamic', 'load.c', '-o', 'load'])
      expect(run(folder, './load', [addon])).toContain('loaded')
      row(
        'addon, musl',
        'x64, without Node',
        folder,
        'prebuilds/linux-x64/offheap.musl.node (loaded, not run)'
      )
    })
  }
)

/** A program whose calls are known, and their operations. */
const PROGRAM = `
#include <stdlib.h>
int main(void) {
  void *volatile a = malloc(1001);
  void *volatile b = calloc(7, 13);
  a = realloc(a, 2003);
  free(b);
  free(a);
  return 0;
}`
const TRACE = ['a 1001', 'c 7 13', 'r 2003', 'f', 'f']

const LOAD = `
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
  void *addon = dlopen(argv[argc - 1], RTLD_NOW);
  puts(addon ? "loaded" : dlerror());
  return addon && dlsym(addon, "napi_register_module_v1") ? 0 : 1;
}`

/**
 * Records the program with the given recorder; returns the operations of its own calls in the
 * trace, without ids.
 */
function recordWith(
  folder: string,
  recorder: string,
  program: string,
  env: object = process.env
): string[] {
  const script = `
    import { readFileSync } from 'node:fs'
    import { record } from './node_modules/offheap/dist/trace/record.js'
    const options = ${JSON.stringify({ program, output: 'out.rep', recorder })}
    await record(options)
    console.log(readFileSync('out.rep', 'utf8'))`
  writeFileSync(join(folder, 'record.mjs'), script)
  const lines = run(folder, process.execPath, ['record.mjs'], { env }).split('\n')
  const first = lines.findIndex(line => /^a \d+ 1001$/.test(line))
  return lines.slice(first, first + TRACE.length).map(line => line.replace(/^(\w) \d+/, '$1'))
}

function row(what: string, node: string, folder: string, addon: string): void {
  const installer = `npm ${run(folder, 'npm', ['--version', '--loglevel=error']).trim()}`
  addRow({ what, node, installer, packages: '', size: '', addon })
}
