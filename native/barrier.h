// What threads that share memory need of the system, besides the memory.
#pragma once

#include <cstdint>

namespace barrier {

// Can Barrier be used in this process? Must be asked before the first of them.
bool Available();

// Makes every running thread of the process execute a full memory barrier, some time before this
// returns.
void Everywhere();

// Lets the thread sleep for about so many microseconds.
void Sleep(uint32_t microseconds);

}  // namespace barrier
