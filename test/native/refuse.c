/*
 * Makes one system call of the addon fail. Preloaded into Node (LD_PRELOAD), it intercepts the
 * calls with which native/ asks for memory, and passes on all but one.
 *
 * The environment variable OFFHEAP_REFUSE, "NTH ERRNO TEXT", selects it: the NTH of these calls,
 * counted from 1, fails with ERRNO. JavaScript sets it while the process runs; a change of TEXT
 * restarts the count. Calls from elsewhere (Node, V8, libc) are neither counted nor intercepted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

static char current[100];
static int calls;

/* A local build is called offheap.node, those of the package offheap.glibc.node etc. */
static int is_addon(void *caller) {
  Dl_info library;
  if (dladdr(caller, &library) == 0 || library.dli_fname == NULL) return 0;
  const char *slash = strrchr(library.dli_fname, '/');
  const char *name = slash == NULL ? library.dli_fname : slash + 1;
  size_t length = strlen(name);
  return strncmp(name, "offheap.", 8) == 0 && strcmp(name + length - 5, ".node") == 0;
}

static int refused(void *caller) {
  const char *order = getenv("OFFHEAP_REFUSE");
  if (order == NULL || *order == 0 || !is_addon(caller)) return 0;
  if (strncmp(order, current, sizeof current - 1) != 0) {
    strncpy(current, order, sizeof current - 1);
    calls = 0;
  }
  int nth = 0, error = 0;
  if (sscanf(order, "%d %d", &nth, &error) != 2 || ++calls != nth) return 0;
  errno = error;
  return 1;
}

#define REAL(name) (*(__typeof__(&name))real(#name))
#define REFUSED refused(__builtin_return_address(0))

static void *real(const char *name) {
  return dlsym(RTLD_NEXT, name);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return REFUSED ? MAP_FAILED : REAL(mmap)(address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
  return REFUSED ? MAP_FAILED : REAL(mmap64)(address, length, protection, flags, fd, offset);
}

int munmap(void *address, size_t length) {
  return REFUSED ? -1 : REAL(munmap)(address, length);
}

int mprotect(void *address, size_t length, int protection) {
  return REFUSED ? -1 : REAL(mprotect)(address, length, protection);
}

int madvise(void *address, size_t length, int advice) {
  return REFUSED ? -1 : REAL(madvise)(address, length, advice);
}

int mincore(void *address, size_t length, unsigned char *present) {
  return REFUSED ? -1 : REAL(mincore)(address, length, present);
}

int mlock(const void *address, size_t length) {
  return REFUSED ? -1 : REAL(mlock)(address, length);
}
