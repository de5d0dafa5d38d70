// The system calls behind a region. No JavaScript, no allocation policy. Addresses and lengths are
// in bytes; callers pass whole pages.
//
// A file whose name ends in _posix, _linux, _macos or _windows is compiled for that system only
// (_posix: Linux and macOS).
#pragma once

#if !defined(__linux__) && !defined(__APPLE__) && !defined(_WIN32)
#error "offheap maps memory on Linux, macOS and Windows; it does not support this operating system."
#endif

#include <cstddef>
#include <cstdint>

namespace pages {

// The result of a system call: an error number, 0 for success, and the name of the call. On
// Windows, the error is the errno value with the same meaning.
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
// Without guards, the reservation is only the usable part.
struct Span {
  char* reservation = nullptr;
  size_t reserved = 0;
  char* start = nullptr;
  size_t length = 0;
};

enum class Access { none, read, readWrite };

size_t PageSize();

// The number of bytes that this process may lock (RLIMIT_MEMLOCK); infinity for no limit.
double LockLimit();

// Returns whether the system reserves memory when a page is committed, and not at its first access.
// Pages are then committed by Commit(), or by their first access, which faults (faults.h).
bool ChargesCommit();

// Maps `length` bytes of private zeroed memory without committing them. After a failure, nothing is
// mapped.
Failure Map(size_t length, const Options& options, Span* span);

// Replaces the pages of a mapping by zero pages that can be read and written. They take no memory
// until they are accessed. Other threads may access the pages meanwhile: at no moment does an
// access end the process.
Failure Retire(const Span& span);

Failure Unmap(const Span& span);

// Makes sure that the system has memory for these pages. Does not change protections.
Failure Commit(char* start, size_t length);

// Returns pages to the system. At the next access they are zero, readable and writable.
Failure Decommit(char* start, size_t length, bool locked, bool restricted);

Failure Protect(char* start, size_t length, Access access);

// Counts the bytes of the pages that are in memory now.
Failure Resident(char* start, size_t length, uint64_t* bytes);

}  // namespace pages
