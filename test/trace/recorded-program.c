/*
 * Programs for record.test.ts, selected by the first argument. The test recognizes their calls by
 * the sizes.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *self;

static int sequence(void) {
  void *a = malloc(12345), *b = calloc(3, 111), *c = realloc(NULL, 77), *d, *e, *f, *g, *h;
  if (realloc(c, 0) != NULL) return 90;
  if (posix_memalign(&d, 64, 1000) != 0) return 91;
  e = aligned_alloc(128, 256);
  f = memalign(4096, 10);
  g = valloc(5);
  h = pvalloc(5);
  b = reallocarray(b, 7, 100);
  volatile size_t huge = PTRDIFF_MAX;
  void *none = NULL;
  if (malloc(huge) || calloc(huge, 4) || realloc(b, huge)) return 92;
  if (posix_memalign(&none, 64, huge) == 0) return 92;
  if (reallocarray(b, huge, 4) != NULL) return 93;
  if (malloc(0) == NULL) return 94;
  /* Moves, and the old place is free to be used again. */
  void *moved = realloc(a, 5000000);
  if (moved == a || malloc(12345) == NULL) return 95;
  free(NULL);
  void *all[] = {b, d, e, f, g, h, moved};
  for (int i = 0; i < 7; i++) free(all[i]);
  if (malloc(31) == NULL) return 96;
  _exit(7);
}

/* Three threads in one arena: each frees what its neighbour allocated, and realloc moves blocks. */
enum { COUNT = 60000 };
static void *_Atomic mailbox[3];

static void *worker(void *argument) {
  intptr_t me = (intptr_t)argument;
  for (int i = 0; i < COUNT; i++) {
    void *p = malloc(1600 + 16 * (size_t)me);
    if (i % 3 == 0) p = realloc(p, 5000);
    free(__atomic_exchange_n((void **)&mailbox[(me + i) % 3], p, __ATOMIC_ACQ_REL));
  }
  return NULL;
}

static int threads(void) {
  pthread_t thread[3];
  mallopt(M_ARENA_MAX, 1);
  for (intptr_t i = 0; i < 3; i++) pthread_create(&thread[i], NULL, worker, (void *)i);
  for (int i = 0; i < 3; i++) pthread_join(thread[i], NULL);
  for (int i = 0; i < 3; i++) free(mailbox[i]);
  return 0;
}

/* For handover-allocator.c: the receiver gets the block while main is still in free or realloc. */
static void *receive(void *nothing) {
  (void)nothing;
  void *p = malloc(777);
  free(malloc(778));
  return p;
}

static int handover(void) {
  pthread_t thread;
  void *received;
  void *p = malloc(777);
  pthread_create(&thread, NULL, receive, NULL);
  free(p);
  pthread_join(thread, &received);
  if (received != p) return 1;
  free(received);
  p = malloc(777);
  pthread_create(&thread, NULL, receive, NULL);
  void *moved = realloc(p, 888);
  pthread_join(thread, &received);
  if (received != p) return 2;
  free(moved);
  received = realloc(received, 999);
  return received == NULL;
}

/* Exit code 5 when nothing of the recorder is left in the environment. */
static int executed(void) {
  if (malloc(44444) == NULL) return 1;
  return getenv("OFFHEAP_RECORD_FILE") != NULL || getenv("LD_PRELOAD") != NULL ? 1 : 5;
}

static int exit_code(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

static int children(void) {
  if (malloc(11111) == NULL) return 1;
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 100; i++)
      if (malloc(22222) == NULL) _exit(1);
    free(realloc(malloc(22222), 22222));
    exit(0);
  }
  if (exit_code(child) != 0) return 2;
  char *arguments[] = {self, "executed", NULL};
  if (posix_spawn(&child, self, NULL, NULL, arguments, environ) != 0) return 3;
  if (exit_code(child) != 5) return 3;
  child = fork();
  if (child == 0) {
    execv(self, arguments);
    _exit(1);
  }
  if (exit_code(child) != 5) return 4;
  return malloc(33333) == NULL;
}

static int execute(void) {
  char *arguments[] = {self, "executed", NULL};
  if (malloc(12345) != NULL) execv(self, arguments);
  return 1;
}

static int killed(void) {
  for (int i = 0; i < 1024; i++) close(i);
  if (malloc(12345) != NULL) kill(getpid(), SIGKILL);
  return 1;
}

static int crashed(void) {
  if (malloc(12345) != NULL) raise(SIGSEGV);
  return 1;
}

static int many(void) {
  for (int i = 0; i < 200000; i++) free(malloc(345));
  return 0;
}

int main(int count, char **arguments) {
  self = arguments[0];
  const char *part = count > 1 ? arguments[1] : "";
  if (strcmp(part, "sequence") == 0) return sequence();
  if (strcmp(part, "threads") == 0) return threads();
  if (strcmp(part, "handover") == 0) return handover();
  if (strcmp(part, "executed") == 0) return executed();
  if (strcmp(part, "children") == 0) return children();
  if (strcmp(part, "execute") == 0) return execute();
  if (strcmp(part, "killed") == 0) return killed();
  if (strcmp(part, "crashed") == 0) return crashed();
  if (strcmp(part, "many") == 0) return many();
  return 64;
}
