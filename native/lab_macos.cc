// The part of lab.h that macOS supports: limits, but no filter for system calls.

#include "lab.h"

#include <cerrno>
#include <ctime>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace lab {

pages::Failure Share(int file, uint64_t offset, size_t length, void** start) {
  constexpr int access = PROT_READ | PROT_WRITE;
  void* mapped = mmap(nullptr, length, access, MAP_SHARED, file, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return {errno, "mmap"};
  *start = mapped;
  return {};
}

void Unshare(void* start, size_t length) { munmap(start, length); }

// macOS has no public futex: poll, with longer and longer sleeps.
int32_t Wait(const int32_t* word, int32_t value, uint32_t spins, double milliseconds) {
  for (uint32_t i = 0; i < spins; i++) {
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) break;
  }
  double slept = 0;
  for (long pause = 5000; slept < milliseconds; pause = pause < 500000 ? pause * 2 : pause) {
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) break;
    const timespec time = {0, pause};
    nanosleep(&time, nullptr);
    slept += static_cast<double>(pause) / 1e6;
  }
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void Post(int32_t* word, int32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

namespace {

// Returns 1, or 0 if the system refuses.
int Limit(int resource, uint64_t value) {
  const rlimit limit = {static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  return setrlimit(resource, &limit) == 0 ? 1 : 0;
}

}  // namespace

int Confine(uint64_t, uint64_t seconds) {
  // Set each limit, even if another one was refused.
  const int set = Limit(RLIMIT_CORE, 0) + Limit(RLIMIT_FSIZE, 0) + Limit(RLIMIT_NPROC, 0) +
                  Limit(RLIMIT_CPU, seconds);
  return set == 4 ? kLimits : 0;
}

}  // namespace lab
