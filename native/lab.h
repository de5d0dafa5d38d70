// What the lab needs from the system to run untrusted code: memory that two processes share, a word
// to wait for, and a process that can only compute.

#ifndef OFFHEAP_LAB_H_
#define OFFHEAP_LAB_H_

#include <cstddef>
#include <cstdint>

#include "pages.h"

namespace lab {

// Maps `length` bytes of an open file from `offset`, shared with all who map it.
pages::Failure Share(int file, uint64_t offset, size_t length, void** start);
void Unshare(void* start, size_t length);

// Waits until *word is not `value`, or until `milliseconds` have passed. Returns *word. Polls
// `spins` times before it sleeps.
int32_t Wait(const int32_t* word, int32_t value, uint32_t spins, double milliseconds);
// Stores a value, and wakes the threads that wait for the word.
void Post(int32_t* word, int32_t value);

// Flags returned by Confine().
constexpr int kLimits = 1;
constexpr int kCalls = 2;
constexpr int kParent = 4;

// Restricts this process permanently: no opening of files, no new processes, no signals to others,
// no network, at most `seconds` of CPU time, at most `bytes` of memory. The process ends together
// with its parent. Returns the restrictions in force, as a sum of the flags above.
int Confine(uint64_t bytes, uint64_t seconds);

}  // namespace lab

#endif  // OFFHEAP_LAB_H_
