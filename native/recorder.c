/*
 * The recorder: a library that `offheap record` preloads into a program (Linux, LD_PRELOAD). It
 * wraps malloc and its family: it passes every call on to the allocator of the program, and records
 * the event in a file.
 *
 * The file is mapped and shared, so recording an event is a store to memory. It needs no system
 * call, no lock, and no descriptor that the program could close, and no event is lost when the
 * program ends by _exit, execve or SIGKILL. lib/trace/events.ts reads the file afterwards.
 *
 *   byte 0              64 KiB                    + 1.5 MiB                 + 1.5 MiB
 *   +-------------------+-------------------------+-------------------------+----
 *   | struct header     | window 0: 65,536 events | window 1: 65,536 events | ...
 *   +-------------------+-------------------------+-------------------------+----
 *
 * The file is sparse, with the length of the longest possible recording. Only the windows around
 * the last event are kept in memory.
 *
 * Order across threads: each event takes a slot with an atomic addition. free takes its slot before
 * the block is freed, malloc after the block is allocated. So when a block is freed by one thread
 * and allocated by another, the free is recorded first. realloc takes two slots: REALLOC_BEGIN,
 * after which another thread may get the old address, and REALLOC_END.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define EXPORT __attribute__((visibility("default")))
#define FILE_VARIABLE "OFFHEAP_RECORD_FILE"
#define MAGIC UINT64_C(0x314345525048464f) /* "OFHPREC1" in a little-endian file */
#define HEADER_BYTES 65536
#define WINDOW_EVENTS 65536
#define WINDOW_BYTES (WINDOW_EVENTS * sizeof(struct event))

extern char **environ;

struct header {
  uint64_t magic;    /* written by `offheap record`, so that no other file is overwritten */
  uint64_t attached; /* 1 once this library runs inside the program */
  uint64_t capacity; /* the number of slots; lowered when the disk is full */
  uint64_t padding[5];
  uint64_t next; /* slots taken, in a separate cache line; those beyond capacity are lost */
};

/*
 * The kind is stored in the low three bits of the address, which are zero because of alignment. 0:
 * the slot was taken, but the event was never written.
 */
enum kind { MALLOC = 1, CALLOC = 2, ALIGNED = 3, FREE = 4, REALLOC_BEGIN = 5, REALLOC_END = 6 };

struct event {
  uint64_t what;  /* address | kind; the address is 0 if the allocation failed */
  uint64_t size;  /* requested bytes; for CALLOC the size of one element */
  uint64_t extra; /* CALLOC: count. ALIGNED: alignment. REALLOC_END: slot of its REALLOC_BEGIN */
};

/* The allocator of the program. */
static struct {
  void *(*malloc)(size_t);
  void *(*calloc)(size_t, size_t);
  void *(*realloc)(void *, size_t);
  void (*free)(void *);
  void *(*memalign)(size_t, size_t);
  void *(*aligned_alloc)(size_t, size_t);
  int (*posix_memalign)(void **, size_t, size_t);
} real;

static struct header *header;
static struct event *events;
/* In a page that is zero in a forked child, so that the child records nothing. */
static int *recording;
/* The process to record, on kernels without MADV_WIPEONFORK; else 0. */
static pid_t only_process;
/* A public function may call another one (posix_memalign in musl): only the outer is recorded. */
static __thread int inside __attribute__((tls_model("initial-exec")));

/* ---- allocations of dlsym, before the functions of the allocator are known ---- */

static char bootstrap[4096] __attribute__((aligned(16)));
static size_t bootstrap_used;
static int resolving;

static void *bootstrap_alloc(size_t size) {
  size_t start = bootstrap_used;
  if (size > sizeof bootstrap - start) return NULL;
  bootstrap_used = start + ((size + 15) & ~(size_t)15);
  return bootstrap + start;
}

static int from_bootstrap(const void *p) {
  return (const char *)p >= bootstrap && (const char *)p < bootstrap + sizeof bootstrap;
}

static void resolve(void) {
  resolving = 1;
  *(void **)&real.calloc = dlsym(RTLD_NEXT, "calloc");
  *(void **)&real.realloc = dlsym(RTLD_NEXT, "realloc");
  *(void **)&real.free = dlsym(RTLD_NEXT, "free");
  *(void **)&real.memalign = dlsym(RTLD_NEXT, "memalign");
  *(void **)&real.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
  *(void **)&real.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
  *(void **)&real.malloc = dlsym(RTLD_NEXT, "malloc");
  resolving = 0;
}

/* ---- starting ---- */

/*
 * Keeps programs that this one executes from being recorded. `offheap record` puts its entry first;
 * the entries of the user after it are kept.
 */
static void leave_environment(void) {
  char *preload = getenv("LD_PRELOAD");
  unsetenv(FILE_VARIABLE);
  if (preload == NULL) return;
  char *rest = strchr(preload, ':');
  if (rest == NULL) unsetenv("LD_PRELOAD");
  else memmove(preload, rest + 1, strlen(rest + 1) + 1);
}

static void map_events(const char *path) {
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  struct stat file;
  if (fstat(fd, &file) == 0 && file.st_size >= (off_t)(HEADER_BYTES + WINDOW_BYTES)) {
    /* If the address space is limited, a shorter recording is better than none. */
    uint64_t windows = (uint64_t)(file.st_size - HEADER_BYTES) / WINDOW_BYTES;
    void *base = MAP_FAILED;
    for (; windows > 0; windows /= 4) {
      size_t length = HEADER_BYTES + windows * WINDOW_BYTES;
      base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (base != MAP_FAILED) break;
    }
    if (base != MAP_FAILED && ((struct header *)base)->magic == MAGIC) {
      header = base;
      header->capacity = windows * WINDOW_EVENTS;
      events = (struct event *)((char *)base + HEADER_BYTES);
    }
  }
  close(fd);
}

/*
 * Allocates the disk space of a window. On a full disk this fails, while a store to a page without
 * disk space would raise SIGBUS.
 */
static void populate(uint64_t window) {
  if ((window + 1) * WINDOW_EVENTS > __atomic_load_n(&header->capacity, __ATOMIC_RELAXED)) return;
  char *begin = (char *)events + window * WINDOW_BYTES;
  if (madvise(begin, WINDOW_BYTES, MADV_POPULATE_WRITE) != 0 && errno == EFAULT)
    __atomic_store_n(&header->capacity, window * WINDOW_EVENTS, __ATOMIC_RELAXED);
}

static void start(void) {
  const char *path = getenv(FILE_VARIABLE);
  if (path == NULL) return;
  map_events(path);
  leave_environment();
  if (header == NULL) return;
  int *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (madvise(page, 4096, MADV_WIPEONFORK) != 0) only_process = getpid();
  header->attached = 1;
  populate(0);
  *page = 1;
  recording = page;
}

/*
 * Runs at the first call, before main: libraries allocate while they are loaded. No other thread
 * exists yet.
 */
static void prepare(void) {
  static int started;
  if (real.malloc == NULL) resolve();
  /* The loader may allocate before libc has read the environment. */
  if (!started && environ != NULL) {
    started = 1;
    int error = errno;
    start();
    errno = error;
  }
}

__attribute__((constructor)) static void prepare_at_the_latest(void) {
  prepare();
}

/* ---- recording ---- */

static int must_record(void) {
  if (recording == NULL || *recording == 0 || inside) return 0;
  return only_process == 0 || only_process == getpid();
}

/*
 * In the middle of a window: prepares the next window, and removes the one before from memory. It
 * stays in the file.
 */
static void turn(uint64_t window) {
  int error = errno;
  populate(window + 1);
  char *begin = (char *)events + window * WINDOW_BYTES;
  if (window > 0) madvise(begin - WINDOW_BYTES, WINDOW_BYTES, MADV_DONTNEED);
  errno = error;
}

static uint64_t record(enum kind kind, const void *address, size_t size, uint64_t extra) {
  uint64_t slot = __atomic_fetch_add(&header->next, 1, __ATOMIC_SEQ_CST);
  if (slot >= __atomic_load_n(&header->capacity, __ATOMIC_RELAXED)) return slot;
  if (slot % WINDOW_EVENTS == WINDOW_EVENTS / 2) turn(slot / WINDOW_EVENTS);
  struct event *event = &events[slot];
  event->size = size;
  event->extra = extra;
  /* The last store, so that an event interrupted by the end of the program reads as not written. */
  __atomic_store_n(&event->what, (uint64_t)(uintptr_t)address | (uint64_t)kind, __ATOMIC_RELEASE);
  return slot;
}

/* ---- the functions called by the program ---- */

EXPORT void *malloc(size_t size) {
  if (resolving) return bootstrap_alloc(size);
  prepare();
  if (!must_record()) return real.malloc(size);
  inside = 1;
  void *result = real.malloc(size);
  record(MALLOC, result, size, 0);
  inside = 0;
  return result;
}

EXPORT void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (resolving) return __builtin_mul_overflow(count, size, &bytes) ? NULL : bootstrap_alloc(bytes);
  prepare();
  if (!must_record()) return real.calloc(count, size);
  inside = 1;
  void *result = real.calloc(count, size);
  record(CALLOC, result, size, count);
  inside = 0;
  return result;
}

EXPORT void free(void *p) {
  if (p == NULL || from_bootstrap(p)) return;
  prepare();
  if (!must_record()) {
    real.free(p);
    return;
  }
  inside = 1;
  record(FREE, p, 0, 0);
  real.free(p);
  inside = 0;
}

EXPORT void *realloc(void *p, size_t size) {
  if (p == NULL) return malloc(size);
  if (from_bootstrap(p)) {
    size_t rest = (size_t)(bootstrap + sizeof bootstrap - (char *)p);
    void *copy = malloc(size);
    if (copy != NULL) memcpy(copy, p, size < rest ? size : rest);
    return copy;
  }
  prepare();
  if (!must_record()) return real.realloc(p, size);
  inside = 1;
  uint64_t begin = record(REALLOC_BEGIN, p, size, 0);
  void *result = real.realloc(p, size);
  record(REALLOC_END, result, size, begin);
  inside = 0;
  return result;
}

/*
 * Calls realloc here instead of the allocator's reallocarray, which may or may not call realloc
 * through this library.
 */
EXPORT void *reallocarray(void *p, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  return realloc(p, bytes);
}

EXPORT void *memalign(size_t alignment, size_t size) {
  prepare();
  if (!must_record()) return real.memalign(alignment, size);
  inside = 1;
  void *result = real.memalign(alignment, size);
  record(ALIGNED, result, size, alignment);
  inside = 0;
  return result;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) {
  prepare();
  if (!must_record()) return real.aligned_alloc(alignment, size);
  inside = 1;
  void *result = real.aligned_alloc(alignment, size);
  record(ALIGNED, result, size, alignment);
  inside = 0;
  return result;
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size) {
  prepare();
  if (!must_record()) return real.posix_memalign(out, alignment, size);
  inside = 1;
  int error = real.posix_memalign(out, alignment, size);
  record(ALIGNED, error == 0 ? *out : NULL, size, alignment);
  inside = 0;
  return error;
}

EXPORT void *valloc(size_t size) {
  return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

EXPORT void *pvalloc(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (size > SIZE_MAX - (page - 1)) {
    errno = ENOMEM;
    return NULL;
  }
  return memalign(page, (size + page - 1) & ~(page - 1));
}
