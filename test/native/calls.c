/*
 * Records the calls with which the addon writes a heap file, and makes some fail. Preloaded into
 * Node (LD_PRELOAD), and controlled by two environment variables, which JavaScript sets while the
 * process runs:
 *
 * OFFHEAP_CALLS, a path: each call first appends a line to this file, with its name, its number of
 * bytes, and the current state and generation of the mapped superblock.
 * OFFHEAP_CALLS_FAIL, "NAME ERRNO": calls with this name fail.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

static const int32_t *head;

static int refused(const char *name, long long length) {
  const char *path = getenv("OFFHEAP_CALLS");
  if (path != NULL && *path != 0) {
    FILE *file = fopen(path, "a");
    if (file != NULL) {
      int state = head == NULL ? -1 : head[16];
      int generation = head == NULL ? -1 : head[18];
      fprintf(file, "%s %lld state %d generation %d\n", name, length, state, generation);
      fclose(file);
    }
  }
  const char *order = getenv("OFFHEAP_CALLS_FAIL");
  char wanted[32];
  int error = 0;
  if (order == NULL || sscanf(order, "%31s %d", wanted, &error) != 2) return 0;
  if (strcmp(wanted, name) != 0) return 0;
  errno = error;
  return 1;
}

#define REAL(name) (*(__typeof__(&name))dlsym(RTLD_NEXT, #name))

int msync(void *address, size_t length, int flags) {
  if (*(const int32_t *)address == 0x5366666f) head = address;
  return refused("msync", length) ? -1 : REAL(msync)(address, length, flags);
}

int fdatasync(int file) {
  return refused("fdatasync", 0) ? -1 : REAL(fdatasync)(file);
}

int fallocate(int file, int mode, off_t offset, off_t length) {
  return refused("fallocate", length) ? -1 : REAL(fallocate)(file, mode, offset, length);
}

int fallocate64(int file, int mode, off64_t offset, off64_t length) {
  return refused("fallocate", length) ? -1 : REAL(fallocate64)(file, mode, offset, length);
}

int ftruncate(int file, off_t length) {
  return refused("ftruncate", length) ? -1 : REAL(ftruncate)(file, length);
}

int ftruncate64(int file, off64_t length) {
  return refused("ftruncate", length) ? -1 : REAL(ftruncate64)(file, length);
}
