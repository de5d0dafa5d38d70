#include <sys/mman.h>

#include <algorithm>

#include "pages_posix.h"

namespace pages {

namespace {

// The size and alignment of a transparent huge page.
constexpr size_t kHugePage = size_t{2} << 20;

// MADV_POPULATE_WRITE, since Linux 5.14. Older C libraries don't define it.
constexpr int kPopulateWrite = 23;

}  // namespace

size_t Alignment(size_t length, const Options& options) {
  if (options.hugePages && length >= kHugePage) return std::max(kHugePage, PageSize());
  return PageSize();
}

Failure AdviseHuge(char* start, size_t length) {
  if (madvise(start, length, MADV_HUGEPAGE) != 0) {
    // EINVAL: the kernel was built without transparent huge pages.
    return {errno == EINVAL ? ENOTSUP : errno, "madvise"};
  }
  return {};
}

Failure Populate(char* start, size_t length) {
  int result;
  do {
    result = madvise(start, length, kPopulateWrite);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return {};
  if (errno != EINVAL) return Refused("madvise");
  Touch(start, length);
  return {};
}

Failure Decommit(char* start, size_t length, bool locked, bool restricted) {
  // The kernel would refuse this too, but only after the protection was lifted.
  if (locked) return {EINVAL, "madvise"};
  // madvise does not change protections, so lift them. This comes first, because it may fail, and
  // then no byte is lost.
  if (restricted) {
    if (const Failure failure = Protect(start, length, Access::readWrite)) return failure;
  }
  if (madvise(start, length, MADV_DONTNEED) != 0) return Refused("madvise");
  return {};
}

}  // namespace pages
