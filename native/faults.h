// Accesses to protected pages must not end the process, so mappings with such pages are watched. A
// fault in a watched mapping is recorded, the protection of that page is lifted, and the access is
// repeated. Every other fault is passed on to the previous handler: that of V8 for WebAssembly,
// that of Node, or the default action.
//
// On Windows, which reserves memory when it is committed, every mapping is watched: the first
// access to a page that is not committed faults, which commits the page, and the access is
// repeated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pages.h"

namespace faults {

// The maximum number of watched regions of a process. On Windows memory is the only limit.
constexpr int kWatches = 1024;

// The maximum number of faults of a region that are recorded between two calls of Drain.
constexpr int kRemembered = 256;

// A watched mapping.
struct Watch;

// Installs the fault handler of the process, if necessary, and fills the reserve. Must precede each
// protection.
pages::Failure Prepare();

// Releases the mappings and the writable bytes held in reserve, for a process that has reached its
// limit.
void SpendReserve();

// Begins to watch a mapping. Returns nullptr if no more can be watched.
Watch* Begin(const char* start, size_t length);

// Ends a watch. Must precede unmapping the pages.
void End(Watch* watch);

// Marks a watch whose pages were retired: they allow every access. The watch stays until another
// mapping reuses it, since a thread may be about to enter the handler. EndRetired ends it before
// the pages are unmapped.
void Retire(Watch* watch);
void EndRetired(Watch* watch, const char* start);

// Returns and clears the byte offsets of the accesses that faulted, oldest first.
std::vector<uint64_t> Drain(Watch* watch);

}  // namespace faults
