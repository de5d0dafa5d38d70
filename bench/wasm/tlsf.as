// What of AssemblyScript's allocator (std/assembly/rt/tlsf.ts, Apache-2.0) JavaScript may call. Compiled by
// ../setup.ts with the `asc` of the installed assemblyscript package. AssemblyScript, not TypeScript.

export function malloc(size: usize): usize {
  return __alloc(size)
}

export function calloc(count: usize, size: usize): usize {
  const pointer = __alloc(count * size)
  memory.fill(pointer, 0, count * size)
  return pointer
}

export function realloc(pointer: usize, size: usize): usize {
  return pointer === 0 ? __alloc(size) : __realloc(pointer, size)
}

export function free(pointer: usize): void {
  __free(pointer)
}
