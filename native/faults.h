// Accesses to protected pages must not end the process: this watches the mappings that have some.
// A fault inside one lifts the protection of that page, is noted, and the access goes on. Every other fault goes
// to whoever handled it before: V8 for WebAssembly, Node, or the system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pages.h"

namespace faults {

// Regions with protected pages that a process can have at a time.
constexpr int kWatches = 1024;

// Faults that a region remembers between two calls of Drain.
constexpr int kRemembered = 256;

// Installs the signal handler of the process, unless it is there, and fills the reserve. Must precede each protection.
pages::Failure Prepare();

// Gives the process the mappings and the writable bytes held in reserve, so that it survives having reached its limit.
void SpendReserve();

// Begins to watch a mapping and returns the number of its watch, or -1 when all are taken.
int Watch(const char* start, size_t length);

// Stops watching, so that the pages can be unmapped; then comes either Release, which gives the watch back, or Resume,
// when the pages are still there.
void Pause(int watch);
void Resume(int watch, const char* start, size_t length);
void Release(int watch);

// Takes the byte offsets of the accesses that faulted, oldest first.
std::vector<uint64_t> Drain(int watch);

}  // namespace faults
