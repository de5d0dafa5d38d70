// The lab is not supported on Windows. See lab.h.

#include "lab.h"

#include <cerrno>

namespace lab {

pages::Failure Share(int, uint64_t, size_t, void**) { return {ENOTSUP, "CreateFileMapping"}; }
void Unshare(void*, size_t) {}
int32_t Wait(const int32_t* word, int32_t, uint32_t, double) { return *word; }
void Post(int32_t* word, int32_t value) { *word = value; }
int Confine(uint64_t, uint64_t) { return 0; }

}  // namespace lab
