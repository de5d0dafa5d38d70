/*
 * An allocator for record.test.ts that makes the rare case certain: a block given back by one thread is in another thread's hands
 * before free, or realloc, returns. Two requests of 777 bytes make a pair: the first is an ordinary block, the second waits for that
 * one to be given back. Whoever gives it back waits for a request of 778 bytes, so the second thread has long had its block by then.
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
