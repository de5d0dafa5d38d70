#!/bin/sh
# Links wasi-libc's malloc (Doug Lea's dlmalloc) into a WebAssembly module of its own, so that the benchmark can
# call it from JavaScript. Only needed to make dlmalloc.wasm again: the module is part of the checkout.
# Debian: apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32
set -eu
cd "$(dirname "$0")"
"${CLANG:-clang-14}" --target=wasm32-wasi --sysroot=/usr -O2 -nostartfiles -x c /dev/null -o dlmalloc.wasm \
  -Wl,--no-entry -Wl,--strip-all -Wl,--max-memory=2147483648 \
  -Wl,--export=malloc -Wl,--export=free -Wl,--export=calloc -Wl,--export=realloc -Wl,--export=aligned_alloc
