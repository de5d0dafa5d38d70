#include "pages_posix.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

namespace pages {

namespace {

constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

// Unmaps what was reserved for alignment only, at both ends.
Failure TrimTo(Span* span, char* first, size_t size) {
  const size_t before = static_cast<size_t>(first - span->reservation);
  const size_t after = span->reserved - before - size;
  if (before > 0) {
    if (munmap(span->reservation, before) != 0) return Refused("munmap");
    span->reservation = first;
    span->reserved -= before;
  }
  if (after > 0) {
    if (munmap(first + size, after) != 0) return Refused("munmap");
    span->reserved = size;
  }
  return {};
}

// Reserves the pages and their guards, aligned and inaccessible.
Failure Reserve(size_t length, const Options& options, Span* span) {
  const size_t guard = options.guard ? PageSize() : 0;
  const size_t wanted = length + 2 * guard;
  const size_t alignment = Alignment(length, options);
  const size_t slack = alignment - PageSize();

  void* address = mmap(nullptr, wanted + slack, PROT_NONE, kPrivate, -1, 0);
  if (address == MAP_FAILED) return Refused("mmap");

  span->reservation = static_cast<char*>(address);
  span->reserved = wanted + slack;
  span->length = length;
  const uintptr_t lowest = reinterpret_cast<uintptr_t>(address) + guard;
  const uintptr_t aligned = (lowest + alignment - 1) / alignment * alignment;
  span->start = span->reservation + guard + (aligned - lowest);
  return TrimTo(span, span->start - guard, wanted);
}

Failure Prepare(const Span& span, const Options& options) {
  if (mprotect(span.start, span.length, PROT_READ | PROT_WRITE) != 0) return Refused("mprotect");
  if (options.hugePages) {
    if (const Failure failure = AdviseHuge(span.start, span.length)) return failure;
  }
  // Lock first: a size beyond the limit is then rejected before a page is committed.
  if (options.lock && mlock(span.start, span.length) != 0) return Refused("mlock");
  if (options.populate) return Populate(span.start, span.length);
  return {};
}

}  // namespace

size_t PageSize() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

void Touch(char* start, size_t length) {
  for (size_t offset = 0; offset < length; offset += PageSize()) {
    *const_cast<volatile char*>(start + offset) = 0;
  }
}

bool ChargesCommit() { return false; }

Failure Commit(char*, size_t) { return {}; }

double LockLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return std::numeric_limits<double>::infinity();
  }
  return static_cast<double>(limit.rlim_cur);
}

Failure Map(size_t length, const Options& options, Span* span) {
  *span = {};
  Failure failure = Reserve(length, options, span);
  if (!failure) failure = Prepare(*span, options);
  if (failure && span->reservation != nullptr) {
    munmap(span->reservation, span->reserved);
    *span = {};
  }
  return failure;
}

Failure Retire(const Span& span) {
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  // Including the guard pages, so that it is one mapping, which can merge with its neighbour.
  void* address = mmap(span.reservation, span.reserved, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (address == MAP_FAILED) return Refused("mmap");
  return {};
}

Failure Unmap(const Span& span) {
  if (munmap(span.reservation, span.reserved) != 0) return Refused("munmap");
  return {};
}

Failure Protect(char* start, size_t length, Access access) {
  const int bits = access == Access::none   ? PROT_NONE
                   : access == Access::read ? PROT_READ
                                            : PROT_READ | PROT_WRITE;
  if (mprotect(start, length, bits) != 0) return Refused("mprotect");
  return {};
}

Failure Resident(char* start, size_t length, uint64_t* bytes) {
  Residency present[4096];
  const size_t page = PageSize();
  const size_t chunk = sizeof(present) * page;
  uint64_t resident = 0;
  for (size_t offset = 0; offset < length; offset += chunk) {
    const size_t size = std::min(chunk, length - offset);
    if (mincore(start + offset, size, present) != 0) return Refused("mincore");
    for (size_t index = 0; index < size / page; index++) resident += present[index] & 1;
  }
  *bytes = resident * page;
  return {};
}

}  // namespace pages
