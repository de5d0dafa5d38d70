// macOS has no system call that makes other threads execute a barrier. The owners of arenas use
// atomic operations instead.
#include <ctime>

#include "barrier.h"

namespace barrier {

bool Available(Reach) { return false; }

void Everywhere(Reach) {}

void Sleep(uint32_t microseconds) {
  timespec time;
  time.tv_sec = microseconds / 1000000;
  time.tv_nsec = static_cast<long>(microseconds % 1000000) * 1000;
  nanosleep(&time, nullptr);
}

}  // namespace barrier
