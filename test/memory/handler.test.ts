/**
 * The signal handler behind `protect`, as seen from native code: faults that it must pass on, and
 * state that it must preserve. Each test runs in a separate process with a small library in C. A
 * limit of CPU time ends a process that faults in an endless loop.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Compiled, compile } from './compiled.js'
import { onLinux } from './maps.js'

/** Runs a command without core dumps, and with a limit of CPU time that is far above its need. */
const LIMITED = ['sh', '-c', 'ulimit -c 0; ulimit -t 20; exec "$@"', 'sh']

/** The signal of a fault. macOS has two. */
const killed = onLinux ? 'SIGSEGV' : expect.stringMatching(/^SIG(SEGV|BUS)$/)

let compiled: Compiled
beforeAll(() => {
  compiled = compile()
})
afterAll(() => compiled.remove())

/**
 * A region of 8 pages. The pages `none` and `read` are protected, and the protection of `lifted`
 * was lifted. Its address is in the environment.
 */
const region = `
  const region = Region.map(8 * 65536)
  const page = region.pageSize
  const bytes = new Uint8Array(region.buffer).fill(1)
  region.protect(2 * page, page, 'none')
  region.protect(4 * page, page, 'read')
  region.protect(6 * page, page, 'none')
  bytes[6 * page] = 1
  const pages = { untouched: 0, none: 2, read: 4, lifted: 6 }
  process.env.REGION = String(region.address)
  console.log(JSON.stringify(region.faults().map(offset => offset / page)))`

let libraries = 0

/**
 * Compiles an addon in C. Returns a statement that loads it and calls its `run`.
 */
function load(source: string): string {
  const name = join(compiled.folder, `library-${libraries++}`)
  const headers = [
    'errno',
    'pthread',
    'signal',
    'stdio',
    'stdlib',
    'string',
    'sys/mman',
    'sys/resource',
    'unistd'
  ]
  const text = [
    '#define _GNU_SOURCE',
    ...headers.map(header => `#include <${header}.h>`),
    'static char *region(void) { return (char *)strtoull(getenv("REGION"), 0, 10); }',
    source,
    'void *napi_register_module_v1(void *env, void *exports) { run(); return exports; }'
  ]
  writeFileSync(`${name}.c`, `${text.join('\n')}\n`)
  execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', `${name}.node`, `${name}.c`])
  return `process.dlopen({ exports: {} }, ${JSON.stringify(`${name}.node`)})`
}

function run(...body: string[]): { stdout: string; signal: string | null } {
  const { stdout, signal } = compiled.run(body.join('\n'), LIMITED)
  return { stdout, signal }
}

// Without V8's handler, no other one is installed, and the default action follows ours.
const handlers: [string, string[]][] = [
  ['with the handler of V8', []],
  ['without another handler', ['env', 'NODE_OPTIONS=--disable-wasm-trap-handler']]
]

describe('native code that jumps into a region ends the process', () => {
  const jump = 'static void run(void) { ((void (*)(void))(region() + atol(getenv("OFFSET"))))(); }'

  describe.each(handlers)('%s', (_, prefix) => {
    test.each(['untouched', 'none', 'read', 'lifted'])('for a page in the state: %s', page => {
      const body = [
        region,
        `process.env.OFFSET = String(pages.${page} * page)`,
        load(jump),
        `console.log('survived')`
      ]
      const { stdout, signal } = compiled.run(body.join('\n'), [...LIMITED, ...prefix])
      expect({ stdout, signal }).toEqual({ stdout: '[6]\n', signal: killed })
    })
  })

  // The guard page before the region becomes code whose last instruction extends into the region.
  test.runIf(process.arch === 'x64' && onLinux)('for an instruction that ends in it', () => {
    const body = load(`static void run(void) {
      char *start = region();
      long page = sysconf(_SC_PAGESIZE);
      if (mprotect(start - page, page, PROT_READ | PROT_WRITE | PROT_EXEC)) return;
      memcpy(start - 3, "\\x90\\x90\\x0f", 3);
      ((void (*)(void))(start - 3))();
    }`)
    expect(run(region, body, `console.log('survived')`)).toEqual({
      stdout: '[6]\n',
      signal: 'SIGSEGV'
    })
  })
})

describe('a handler that was installed before', () => {
  const wild = () => load('static void run(void) { *(volatile int *)8 = 1; }')

  test('with SA_RESETHAND runs once', () => {
    const reporter = load(`
      static void report(int number) { write(1, "reported\\n", 9); }
      static void run(void) {
        struct sigaction action = { .sa_handler = report, .sa_flags = SA_RESETHAND };
        sigaction(SIGSEGV, &action, 0);
        sigaction(SIGBUS, &action, 0);
      }`)
    const { stdout, signal } = run(reporter, region, wild())
    const runs = stdout.match(/reported/g)?.length
    expect({ stdout: stdout.slice(0, 20), runs, signal }).toEqual({
      stdout: '[6]\nreported\n',
      runs: 1,
      signal: killed
    })
  })

  test.each([
    ['with SA_SIGINFO', 'SA_SIGINFO', '.sa_sigaction = detailed', '8'],
    ['without SA_SIGINFO', '0', '.sa_handler = plain', '0']
  ])('%s gets its arguments, its signal mask and the right errno', (_, flags, field, address) => {
    const reporter = load(`
      static void report(void *address) {
        sigset_t blocked;
        pthread_sigmask(SIG_BLOCK, 0, &blocked);
        char text[64];
        int mask = sigismember(&blocked, SIGUSR2) * 10 + sigismember(&blocked, SIGWINCH);
        int length = snprintf(text, sizeof text, "%d %d %d\\n", (int)(size_t)address,
                              errno == ELOOP, mask);
        write(1, text, length);
        _exit(0);
      }
      static void detailed(int number, siginfo_t *info, void *context) { report(info->si_addr); }
      static void plain(int number) { report(0); }
      static void run(void) {
        struct sigaction action = { .sa_flags = ${flags}, ${field} };
        sigaddset(&action.sa_mask, SIGUSR2);
        sigaction(SIGSEGV, &action, 0);
        sigaction(SIGBUS, &action, 0);
      }`)
    const fault = load('static void run(void) { errno = ELOOP; *(volatile int *)8 = 1; }')
    expect(run(reporter, region, fault)).toEqual({ stdout: `[6]\n${address} 1 10\n`, signal: null })
  })

  test('with SIG_IGN still ignores a signal that was sent, but not a fault', () => {
    const ignore = load(
      'static void run(void) { signal(SIGSEGV, SIG_IGN); signal(SIGBUS, SIG_IGN); }'
    )
    const send = load('static void run(void) { raise(SIGSEGV); puts("ignored"); fflush(stdout); }')
    expect(run(ignore, region, send, wild())).toEqual({ stdout: '[6]\nignored\n', signal: killed })
  })

  // SA_RESTART and SA_NODEFER are preserved; SA_ONSTACK is always set.
  test.each([
    ['0', '0 0'],
    ['SA_RESTART', '1 0'],
    ['SA_NODEFER', '0 1']
  ])('keeps its flags: %s', (flags, kept) => {
    const earlier = load(`
      static void die(int number) { _exit(1); }
      static void run(void) {
        struct sigaction action = { .sa_handler = die, .sa_flags = ${flags} };
        sigaction(SIGSEGV, &action, 0);
      }`)
    const look = load(`
      static void run(void) {
        struct sigaction now;
        sigaction(SIGSEGV, 0, &now);
        int flags = now.sa_flags;
        printf("%d %d ", !!(flags & SA_RESTART), !!(flags & SA_NODEFER));
        printf("%d\\n", !!(flags & SA_ONSTACK));
        fflush(stdout);
      }`)
    expect(run(earlier, region, look)).toEqual({ stdout: `[6]\n${kept} 1\n`, signal: null })
  })
})

describe('a handler that was installed later', () => {
  test('and removed again is replaced by the next protection', () => {
    const listener = `
      const heard = new Promise(resolve => process.once('SIGSEGV', resolve))
      const timer = setInterval(() => {}, 1000)
      process.kill(process.pid, 'SIGSEGV')
      await heard
      clearInterval(timer)
      region.protect(0, page, 'none')
      bytes[5] = 1
      console.log(region.faults())`
    expect(run(region, listener)).toEqual({ stdout: '[6]\n[ 5 ]\n', signal: null })
  })

  test('and removed again does not keep faults from the earlier one', () => {
    const earlier = load(`
      static void report(int number) { write(1, "reported\\n", 9); _exit(0); }
      static void run(void) { signal(SIGSEGV, report); signal(SIGBUS, report); }`)
    const later = load(
      'static void run(void) { signal(SIGSEGV, SIG_DFL); signal(SIGBUS, SIG_DFL); }'
    )
    const fault = load('static void run(void) { *(volatile int *)8 = 1; }')
    const protect = `region.protect(0, page, 'none')`
    expect(run(earlier, region, later, protect, fault)).toEqual({
      stdout: '[6]\nreported\n',
      signal: null
    })
  })

  test('and passes faults on still runs first', () => {
    const first = load(`
      static struct sigaction earlier;
      static void pass(int number, siginfo_t *info, void *context) {
        write(1, "seen\\n", 5);
        earlier.sa_sigaction(number, info, context);
      }
      static void run(void) {
        struct sigaction action = { .sa_flags = SA_SIGINFO, .sa_sigaction = pass };
        sigaction(SIGSEGV, &action, &earlier);
      }`)
    const access = `
      region.protect(0, page, 'none')
      bytes[5] = 1
      console.log(region.faults())`
    expect(run(region, first, access)).toEqual({ stdout: '[6]\nseen\n[ 5 ]\n', signal: null })
  })
})

describe('an access to a protected page', () => {
  // Lifting the protection first fails with ENOMEM, then succeeds with memory from the reserve.
  test.runIf(onLinux)('preserves errno when lifting the protection takes two attempts', () => {
    const body = load(`
      static void run(void) {
        char line[256];
        long kilobytes = 0;
        FILE *status = fopen("/proc/self/status", "r");
        while (fgets(line, sizeof line, status)) sscanf(line, "VmData: %ld", &kilobytes);
        struct rlimit limit, tight;
        getrlimit(RLIMIT_DATA, &limit);
        tight.rlim_cur = kilobytes * 1024;
        tight.rlim_max = limit.rlim_max;
        setrlimit(RLIMIT_DATA, &tight);
        int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        int refused = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED;
        errno = ELOOP;
        char value = ((volatile char *)region())[atol(getenv("OFFSET"))];
        int after = errno;
        setrlimit(RLIMIT_DATA, &limit);
        printf("%d %d %d\\n", refused, value, after == ELOOP);
        fflush(stdout);
      }`)
    const outcome = run(region, `process.env.OFFSET = String(2 * page)`, body)
    expect(outcome).toEqual({ stdout: '[6]\n1 1 1\n', signal: null })
  })
})
