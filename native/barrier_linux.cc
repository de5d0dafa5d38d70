#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

#include "barrier.h"

namespace barrier {

namespace {

// As in linux/membarrier.h, which old headers don't have.
constexpr int kQuery = 0;
constexpr int kPrivateExpedited = 1 << 3;
constexpr int kRegisterPrivateExpedited = 1 << 4;

long Membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

bool Register() {
  const long commands = Membarrier(kQuery);
  return commands > 0 && (commands & kPrivateExpedited) != 0 && Membarrier(kRegisterPrivateExpedited) == 0;
}

}  // namespace

bool Available() {
  static const bool available = Register();
  return available;
}

void Everywhere() { Membarrier(kPrivateExpedited); }

void Sleep(uint32_t microseconds) {
  timespec time;
  time.tv_sec = microseconds / 1000000;
  time.tv_nsec = static_cast<long>(microseconds % 1000000) * 1000;
  nanosleep(&time, nullptr);
}

}  // namespace barrier
