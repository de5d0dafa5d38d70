#include <sys/mman.h>

#include "pages_posix.h"

namespace pages {

size_t Alignment(size_t, const Options&) { return PageSize(); }

Failure AdviseHuge(char*, size_t) { return {ENOTSUP, "madvise"}; }

Failure Populate(char* start, size_t length) {
  Touch(start, length);
  return {};
}

Failure Decommit(char* start, size_t length, bool locked, bool) {
  // madvise on macOS does not guarantee zeros; a new mapping over the old one does. It would also
  // silently unlock the pages.
  if (locked) return {EINVAL, "mmap"};
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  void* address = mmap(start, length, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (address == MAP_FAILED) return Refused("mmap");
  return {};
}

}  // namespace pages
