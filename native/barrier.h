// What threads that share memory need of the system, besides the memory.
#pragma once

#include <cstdint>

namespace barrier {

// Whose threads: those of this process, or those of all processes that have asked whether they can.
enum class Reach { process, across };

// Can Everywhere be used in this process? Must be asked before the first of them, and before this
// process relies on those of others.
bool Available(Reach reach);

// Makes every running thread within reach execute a full memory barrier, some time before this
// returns. A thread that is not running executes one before it does again.
void Everywhere(Reach reach);

// Lets the thread sleep for about so many microseconds.
void Sleep(uint32_t microseconds);

}  // namespace barrier
