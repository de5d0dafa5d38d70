/*
 * An allocator for record.test.ts that makes a rare case certain: a block that one thread frees is
 * allocated by another thread before free, or realloc, returns. Two requests of 777 bytes make a
 * pair: the first gets an ordinary block, the second waits until that one is freed. The thread that
 * frees it waits for a request of 778 bytes, so the second thread has long had its block by then.
 */
#include <sched.h>
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

static void *_Atomic first;
static void *_Atomic given_back;
static _Atomic int arrived;
static _Atomic int requests;

static void hand_over(void *p) {
  first = NULL;
  arrived = 0;
  given_back = p;
  while (!arrived) sched_yield();
}

void *malloc(size_t size) {
  if (size == 778) arrived = 1;
  if (size != 777) return __libc_malloc(size);
  if (requests++ % 2 == 0) return first = __libc_malloc(size);
  while (given_back == NULL) sched_yield();
  void *p = given_back;
  given_back = NULL;
  return p;
}

void free(void *p) {
  if (p != NULL && p == first) hand_over(p);
  else __libc_free(p);
}

void *realloc(void *p, size_t size) {
  if (p == NULL || p != first) return __libc_realloc(p, size);
  void *moved = __libc_malloc(size);
  hand_over(p);
  return moved;
}
