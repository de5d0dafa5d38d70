/**
 * Node's functions for an addon on Windows. There, an import contains the name of the program that
 * has the function, but that program may be bun.exe or electron.exe instead of node.exe. So the
 * addon has no such imports. It looks up the functions in the program that has loaded it, before
 * any other code of the addon runs.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The names of the Node-API functions in a folder with Node's headers. */
export function nodeApiNames(headers) {
  const text = ['js_native_api.h', 'node_api.h']
    .map(name => readFileSync(join(headers, name), 'utf8'))
    .join('\n')
  const names = text.match(/\b(?:napi|node_api)_\w+(?=\()/g) ?? []
  return [...new Set(names)].filter(name => !/_callback$|_register_module/.test(name)).sort()
}

/**
 * A C source that defines, for each function, the variable through which imported functions are
 * called.
 */
export function nodeApiSource(names) {
  return `#include <windows.h>
/* Stands in for a function that the program lacks. Returns napi_generic_failure. */
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
