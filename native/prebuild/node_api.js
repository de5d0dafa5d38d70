/**
 * Node's functions, for an addon of Windows. There a library names the program that it takes a
 * function from, and that program need not be called node.exe: it may be bun.exe or electron.exe.
 * So no import names one. The addon looks its functions up in whatever program it was loaded into,
 * before any code of its own runs.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The names of Node-API's functions in a folder of Node's headers. */
export function nodeApiNames(headers) {
  const text = ['js_native_api.h', 'node_api.h']
    .map(name => readFileSync(join(headers, name), 'utf8'))
    .join('\n')
  const names = text.match(/\b(?:napi|node_api)_\w+(?=\()/g) ?? []
  return [...new Set(names)].filter(name => !/_callback$|_register_module/.test(name)).sort()
}

/**
 * A C source that defines, for each function, the variable through which a caller of another
 * library calls it.
 */
export function nodeApiSource(names) {
  return `#include <windows.h>
/* What a function that the program lacks returns: napi_generic_failure. */
static int missing(void) { return 9; }
${names.map(name => `void *__imp_${name} = (void *)&missing;`).join('\n')}
static struct { const char *name; void **place; } functions[] = {
${names.map(name => `  { "${name}", &__imp_${name} },`).join('\n')}
};
__attribute__((constructor(101))) static void find_functions(void) {
  HMODULE program = GetModuleHandleW(0);
  HMODULE library = GetModuleHandleW(L"libnode.dll");
  for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++) {
    FARPROC found = GetProcAddress(program, functions[i].name);
    if (!found && library) found = GetProcAddress(library, functions[i].name);
    if (found) *functions[i].place = (void *)found;
  }
}
`
}
