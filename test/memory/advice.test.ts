/**
 * The advice of the error when the addon can't be loaded. It must not suggest to compile the addon
 * if a flag or a mount option blocks all addons.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Attempt, adviceFor } from '../../lib/memory/advice.js'
import { type Compiled, compile } from './compiled.js'

/** The location of a package in /p. */
const here = { bundled: false, folders: ['/p'] } as const
const attempt = (reason: string, code?: string): Attempt => ({
  path: '/p/offheap.node',
  reason,
  code
})

test.each([
  ['linux', /a C\+\+ compiler, make and python3/],
  ['darwin', /Xcode Command Line Tools/],
  ['win32', /Visual Studio Build Tools/]
])('for a missing or foreign file, the advice is to build it, on %s', (platform, tools) => {
  for (const restricted of [false, true]) {
    const attempts = [attempt('no such file'), attempt('wrong ELF class', 'ERR_DLOPEN_FAILED')]
    const advice = adviceFor(here, attempts, platform, restricted)
    expect(advice).toMatch(/npm --prefix "\/p" run build:native/)
    expect(advice).toMatch(tools)
  }
})

test.each<[name: string, Attempt, restricted: boolean, advice: RegExp]>([
  [
    '--no-addons',
    attempt('disabled', 'ERR_DLOPEN_DISABLED'),
    false,
    /flag --no-addons .* without it/
  ],
  [
    '--permission',
    attempt('disabled', 'ERR_DLOPEN_DISABLED'),
    true,
    /start Node with --allow-addons/
  ],
  [
    'an unreadable folder',
    attempt('restricted', 'ERR_ACCESS_DENIED'),
    true,
    /--allow-fs-read=\/p\/offheap\.node/
  ],
  [
    'Deno without --allow-read',
    attempt('Requires read access to "/p", run again with the --allow-read flag'),
    false,
    /--allow-read and --allow-ffi/
  ],
  [
    'Deno without --allow-ffi',
    attempt('Requires ffi access to "/p", run again with the --allow-ffi flag'),
    false,
    /--allow-read and --allow-ffi/
  ],
  [
    'noexec',
    attempt('/p/offheap.node: failed to map segment from shared object', 'ERR_DLOPEN_FAILED'),
    false,
    /mounted noexec/
  ]
])('for %s, the advice is not to compile', (_, failure, restricted, expected) => {
  const advice = adviceFor(here, [attempt('no such file'), failure], 'linux', restricted)
  expect(advice).toMatch(expected)
  expect(advice).toMatch(/Heap\.format\(new ArrayBuffer\(size\)\)\.$/)
  expect(advice).not.toMatch(/compiler|build:native/)
})

describe('a process without addons', () => {
  let compiled: Compiled
  beforeAll(() => {
    compiled = compile('heap')
  })
  afterAll(() => compiled.remove())

  const program = `
    try {
      console.log(Heap.map(65536).stats().size)
    } catch (error) {
      console.log(error.code, error.message)
    }
    console.log(Heap.format(new ArrayBuffer(65536)).stats().size)`

  /** Runs the program with flags that NODE_OPTIONS doesn't allow. */
  function runWith(...flags: string[]): string {
    return compiled.run(program, ['sh', '-c', `exec "$0" ${flags.join(' ')} "$@"`]).stdout
  }

  // The name of the flag depends on the version of Node.
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission'

  test('under --no-addons gets an error that names the flag, and can use unmapped heaps', () => {
    const output = runWith('--no-addons')
    expect(output).toMatch(/^ERR_OFFHEAP_NO_ADDON .*The flag --no-addons .* without it/)
    expect(output).toMatch(/\n65536\n$/)
    expect(output).not.toContain('build:native')
  })

  test('under --permission gets an error that names --allow-addons, which enables mapping', () => {
    const output = runWith(permission, '--allow-fs-read=*')
    expect(output).toMatch(/^ERR_OFFHEAP_NO_ADDON .*--allow-addons/)
    expect(output).not.toContain('build:native')
    expect(runWith(permission, '--allow-fs-read=*', '--allow-addons')).toBe('65536\n65536\n')
  })

  test(
    'under --permission without access to the package gets an error that names the files ' +
      'to allow',
    () => {
      const readable = ['dist', 'package.json', 'script-'].map(
        name => `--allow-fs-read=${join(compiled.folder, name)}*`
      )
      const output = runWith(permission, '--allow-addons', ...readable)
      // Node 24 and later loads an addon even if it is not readable.
      expect(output).toMatch(/^65536\n|^ERR_OFFHEAP_NO_ADDON .*--allow-fs-read=\S+offheap\.node/)
      expect(output).not.toContain('build:native')
    }
  )
})
