// The system calls behind a region, and nothing else: no JavaScript, no allocation policy.
// Addresses and lengths are in bytes; callers pass whole pages.
//
// A file whose name ends in _posix, _linux, _macos or _windows is compiled for that system alone
// (_posix: Linux and macOS).
#pragma once

#if !defined(__linux__) && !defined(__APPLE__) && !defined(_WIN32)
#error "offheap maps memory on Linux, macOS and Windows; it does not know this operating system."
#endif

#include <cstddef>
#include <cstdint>

namespace pages {

// What the system said: the error number and the call that gave it. An error of 0 is success.
// On Windows the error is the errno value of the same meaning.
struct Failure {
  int error = 0;
  const char* call = "";
  explicit operator bool() const { return error != 0; }
};

struct Options {
  bool guard = true;
  bool hugePages = false;
  bool populate = false;
  bool lock = false;
};

// One mapping:
//
//   reservation                                    reservation + reserved
//   | guard page | start … start + length            | guard page |
//
// Without guards the reservation is the usable part alone.
struct Span {
  char* reservation = nullptr;
  size_t reserved = 0;
  char* start = nullptr;
  size_t length = 0;
};

enum class Access { none, read, readWrite };

size_t PageSize();

// The most bytes this process may lock, as set by RLIMIT_MEMLOCK; infinity when there is no limit.
double LockLimit();

// Does the system charge memory when it is committed, and not when it is touched? Then pages are
// committed by Commit(), or by the first access to them, which faults (faults.h).
bool ChargesCommit();

// Maps `length` bytes of private zeroed memory without committing them. A failure leaves nothing
// mapped.
Failure Map(size_t length, const Options& options, Span* span);

// Takes the contents of a mapping away, and leaves zero pages in its place that anyone may read and
// write; they take no memory until touched. Other threads may be at work on the pages meanwhile:
// there is no moment at which they crash.
Failure Retire(const Span& span);

Failure Unmap(const Span& span);

// Makes sure that the system has memory for these pages. Protections stay.
Failure Commit(char* start, size_t length);

// Gives pages back to the system. They are zero, readable and writable when touched again.
Failure Decommit(char* start, size_t length, bool locked, bool restricted);

Failure Protect(char* start, size_t length, Access access);

// Counts the bytes of the pages that are in memory now.
Failure Resident(char* start, size_t length, uint64_t* bytes);

}  // namespace pages
