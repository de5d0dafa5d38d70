// Accesses to protected pages must not end the process: this watches the mappings that have some.
// A fault inside one lifts the protection of that page, is noted, and the access goes on. Every
// other fault goes to whoever handled it before: V8 for WebAssembly, Node, or the system.
//
// Where the system charges memory when it is committed (Windows), every mapping is watched: the
// first access to a page that is not committed faults, commits it, and goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pages.h"

namespace faults {

// Regions with protected pages that a process can have at a time. On Windows memory is the only
// limit.
constexpr int kWatches = 1024;

// Faults that a region remembers between two calls of Drain.
constexpr int kRemembered = 256;

// One mapping that is watched.
struct Watch;

// Installs the fault handler of the process, unless it is there, and fills the reserve. Must
// precede each protection.
pages::Failure Prepare();

// Gives the process the mappings and the writable bytes held in reserve, so that it survives having
// reached its limit.
void SpendReserve();

// Begins to watch a mapping; nullptr when no more can be watched.
Watch* Begin(const char* start, size_t length);

// Ends a watch: the pages are about to be unmapped.
void End(Watch* watch);

// The pages of a watch were retired: they allow every access. Another mapping may have the watch,
// where there are few; until then it stays, since a thread may be on its way to the handler. Then
// comes EndRetired, before the pages are unmapped.
void Retire(Watch* watch);
void EndRetired(Watch* watch, const char* start);

// Takes the byte offsets of the accesses that faulted, oldest first.
std::vector<uint64_t> Drain(Watch* watch);

}  // namespace faults
