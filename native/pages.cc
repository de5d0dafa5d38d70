#include "pages.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace pages {

namespace {

constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

#if defined(__linux__)
// A transparent huge page exists only where a whole aligned one fits.
constexpr size_t kHugePage = size_t{2} << 20;

// Since Linux 5.14; older C libraries don't name it.
constexpr int kPopulateWrite = 23;

using Residency = unsigned char;
#else
using Residency = char;
#endif

Failure Refused(const char* call) { return {errno, call}; }

// Writes one byte in each page. The memory is new, so that its bytes stay zero.
void Touch(char* start, size_t length) {
  for (size_t offset = 0; offset < length; offset += PageSize()) {
    *const_cast<volatile char*>(start + offset) = 0;
  }
}

Failure AdviseHuge(char* start, size_t length) {
#if defined(__linux__)
  if (madvise(start, length, MADV_HUGEPAGE) != 0) {
    // EINVAL: a kernel that was built without them.
    return {errno == EINVAL ? ENOTSUP : errno, "madvise"};
  }
  return {};
#else
  (void)start;
  (void)length;
  return {ENOTSUP, "madvise"};
#endif
}

Failure Populate(char* start, size_t length) {
#if defined(__linux__)
  int result;
  do {
    result = madvise(start, length, kPopulateWrite);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return {};
  if (errno != EINVAL) return Refused("madvise");
#endif
  Touch(start, length);
  return {};
}

// Gives back what alignment reserved too much, at either end.
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

size_t Alignment(size_t length, const Options& options) {
#if defined(__linux__)
  if (options.hugePages && length >= kHugePage) return std::max(kHugePage, PageSize());
#else
  (void)length;
  (void)options;
#endif
  return PageSize();
}

// Reserves the pages and their guards, aligned, still inaccessible.
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
  // Locking first: it refuses a size beyond the limit before a single page is committed.
  if (options.lock && mlock(span.start, span.length) != 0) return Refused("mlock");
  if (options.populate) return Populate(span.start, span.length);
  return {};
}

}  // namespace

size_t PageSize() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

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

Failure Unmap(const Span& span) {
  if (munmap(span.reservation, span.reserved) != 0) return Refused("munmap");
  return {};
}

Failure Decommit(char* start, size_t length, bool locked, bool restricted) {
#if defined(__linux__)
  // The kernel would refuse this by itself, but only after the protection was lifted.
  if (locked) return {EINVAL, "madvise"};
  // madvise leaves a protection as it is; new pages have none. First, because it may be refused, and then no byte is lost.
  if (restricted) {
    if (const Failure failure = Protect(start, length, Access::readWrite)) return failure;
  }
  if (madvise(start, length, MADV_DONTNEED) != 0) return Refused("madvise");
  return {};
#else
  // madvise of macOS doesn't promise zeros; a new mapping over the old one does. It would also unlock silently.
  (void)restricted;
  if (locked) return {EINVAL, "mmap"};
  void* address = mmap(start, length, PROT_READ | PROT_WRITE, kPrivate | MAP_FIXED, -1, 0);
  if (address == MAP_FAILED) return Refused("mmap");
  return {};
#endif
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
