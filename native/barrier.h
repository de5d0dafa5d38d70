// Memory barriers across threads, and sleep, for threads that share memory.
#pragma once

#include <cstdint>

namespace barrier {

// The threads that a barrier reaches: those of this process, or those of all processes that have
// called Available(Reach::across).
enum class Reach { process, across };

// Returns whether Everywhere can be used, and registers this process. Must be called before the
// first Everywhere, and before this process depends on the barriers of others.
bool Available(Reach reach);

// Makes every running thread within reach execute a full memory barrier before this returns. A
// thread that is not running executes one before it runs again.
void Everywhere(Reach reach);

// Suspends the thread for about this many microseconds.
void Sleep(uint32_t microseconds);

}  // namespace barrier
