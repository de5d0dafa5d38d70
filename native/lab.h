// What a lab needs from the system to run code that it doesn't trust: memory that two processes
// share, a word to wait at, and a process that can do nothing but compute.

#ifndef OFFHEAP_LAB_H_
#define OFFHEAP_LAB_H_

#include <cstddef>
#include <cstdint>

#include "pages.h"

namespace lab {

// Maps `length` bytes of an open file from `offset`, shared with everyone else who maps it.
pages::Failure Share(int file, uint64_t offset, size_t length, void** start);
void Unshare(void* start, size_t length);

// Returns *word once it is not `value`, or after some `milliseconds`. Looks at it `spins` times
// before it sleeps.
int32_t Wait(const int32_t* word, int32_t value, uint32_t spins, double milliseconds);
// Stores a value, and wakes who waits at the word.
void Post(int32_t* word, int32_t value);

// What Confine() could put in force.
constexpr int kLimits = 1;
constexpr int kCalls = 2;
constexpr int kParent = 4;

// Takes from this process, for good: opening anything, starting processes, signals to others, the
// network; and the processor after `seconds`, memory beyond `bytes`. It ends when the process that
// started it does.
int Confine(uint64_t bytes, uint64_t seconds);

}  // namespace lab

#endif  // OFFHEAP_LAB_H_
