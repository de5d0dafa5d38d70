// In what Linux and macOS differ. pages_posix.cc has all that they share.
#pragma once

#include <cerrno>

#include "pages.h"

namespace pages {

// What mincore says about a page.
#if defined(__APPLE__)
using Residency = char;
#else
using Residency = unsigned char;
#endif

inline Failure Refused(const char* call) { return {errno, call}; }

// Writes one byte in each page. The memory is new, so that its bytes stay zero.
void Touch(char* start, size_t length);

// The alignment of a new mapping of that length, in bytes: a multiple of the page size.
size_t Alignment(size_t length, const Options& options);

Failure AdviseHuge(char* start, size_t length);

Failure Populate(char* start, size_t length);

}  // namespace pages
