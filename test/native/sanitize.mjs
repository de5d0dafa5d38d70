/**
 * Runs the test suite on a build of the addon with AddressSanitizer or UndefinedBehaviorSanitizer,
 * in a temporary copy of this checkout. Fails if a test fails, or if a sanitizer reports an error.
 * Needs Linux, and gcc or clang.
 *
 *   node test/check.js asan              the whole suite
 *   node test/check.js ubsan test/memory the tests in test/memory
 *
 * An error ends the process in which it occurs. The recorder can't use AddressSanitizer, because
 * both replace malloc. In both runs it uses UndefinedBehaviorSanitizer with traps, because it runs
 * in programs without the runtime of the sanitizer.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [sanitizer, ...words] = process.argv.slice(2)
if (process.platform !== 'linux' || (sanitizer !== 'address' && sanitizer !== 'undefined')) {
  console.error(
    'Usage, on Linux: node test/native/sanitize.mjs address|undefined [words for vitest]'
  )
  process.exit(2)
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'offheap-sanitizers-'))
const folder = join(scratch, 'offheap')
const compiler = process.env.CXX ?? 'c++'
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

const skipped = new Set(['.git', 'build', 'coverage', 'node_modules'])
cpSync(root, folder, {
  recursive: true,
  filter: path => !skipped.has(path.slice(root.length).split('/')[0])
})
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))

const optimized = '-O1 -g -fno-omit-frame-pointer'
build('-fsanitize=undefined -fsanitize-undefined-trap-on-error')
cpSync(join(folder, 'build/Release/recorder.so'), join(scratch, 'recorder.so'))
build(`-fsanitize=${sanitizer} -fno-sanitize-recover=all`, `-fsanitize=${sanitizer}`)
cpSync(join(scratch, 'recorder.so'), join(folder, 'build/Release/recorder.so'))

const log = join(scratch, 'report')
const options = [
  // valgrind tests leaks at exit. Node itself does not free all memory at exit.
  'detect_leaks=0',
  // V8 and the addon handle SIGSEGV.
  'handle_segv=0',
  'handle_sigbus=0',
  // A test may preload its own library before the runtime of AddressSanitizer.
  'verify_asan_link_order=0',
  // A recorded program requests more memory than there is, and expects NULL.
  'allocator_may_return_null=1',
  'quarantine_size_mb=16',
  'abort_on_error=1'
]
const vitest = join(folder, 'node_modules/vitest/vitest.mjs')
// Chromium, which has its own allocator, does not start with the runtime of AddressSanitizer.
const without = sanitizer === 'address' ? ['--exclude', 'test/report/view-browser.test.ts'] : []
const { status } = spawnSync(process.execPath, [vitest, 'run', ...without, ...words], {
  cwd: folder,
  stdio: 'inherit',
  env: {
    OFFHEAP_TESTS: 'all',
    ...process.env,
    ...(sanitizer === 'address' ? { LD_PRELOAD: findRuntime() } : {}),
    ASAN_OPTIONS: `${options.join(':')}:log_path=${log}`,
    UBSAN_OPTIONS: `print_stacktrace=1:log_path=${log}`
  }
})

// A test may expect a process to be killed, and would not notice a report. Warnings are not errors.
const reports = readdirSync(scratch)
  .filter(name => name.startsWith('report'))
  .map(name => readFileSync(join(scratch, name), 'utf8'))
  .filter(text => /ERROR: |runtime error: /.test(text))
for (const text of reports) console.error(text)
console.log(`\nreports of the sanitizer: ${reports.length}`)
process.exitCode = status === 0 && reports.length === 0 ? 0 : 1

function build(flags, linkerFlags = '') {
  execFileSync('npm', ['run', '--silent', 'build:native'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      CFLAGS: `${optimized} ${flags}`,
      CXXFLAGS: `${optimized} ${flags}`,
      LDFLAGS: linkerFlags
    }
  })
}

/** The path of AddressSanitizer's shared library, which has different names in gcc and clang. */
function findRuntime() {
  const isClang = execFileSync(compiler, ['--version'], { encoding: 'utf8' }).includes('clang')
  const name = isClang
    ? `libclang_rt.asan-${process.arch === 'x64' ? 'x86_64' : 'aarch64'}.so`
    : 'libasan.so'
  return execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()
}
