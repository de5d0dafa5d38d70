// The differences between Linux and macOS. pages_posix.cc has what they share.
#pragma once

#include <cerrno>

#include "pages.h"

namespace pages {

// The result type of mincore.
#if defined(__APPLE__)
using Residency = char;
#else
using Residency = unsigned char;
#endif

inline Failure Refused(const char* call) { return {errno, call}; }

// Writes a zero to each page of new memory, to commit it.
void Touch(char* start, size_t length);

// The alignment of a new mapping, in bytes: a multiple of the page size.
size_t Alignment(size_t length, const Options& options);

Failure AdviseHuge(char* start, size_t length);

Failure Populate(char* start, size_t length);

}  // namespace pages
