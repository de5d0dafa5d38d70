#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

#include "barrier.h"

namespace barrier {

namespace {

// From linux/membarrier.h, which is missing in old headers.
constexpr int kQuery = 0;
constexpr int kGlobalExpedited = 1 << 1;
constexpr int kRegisterGlobalExpedited = 1 << 2;
constexpr int kPrivateExpedited = 1 << 3;
constexpr int kRegisterPrivateExpedited = 1 << 4;

long Membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

bool Register(int command, int registration) {
  const long commands = Membarrier(kQuery);
  return commands > 0 && (commands & command) != 0 && Membarrier(registration) == 0;
}

}  // namespace

bool Available(Reach reach) {
  if (reach == Reach::process) {
    static const bool available = Register(kPrivateExpedited, kRegisterPrivateExpedited);
    return available;
  }
  static const bool available = Register(kGlobalExpedited, kRegisterGlobalExpedited);
  return available;
}

void Everywhere(Reach reach) {
  Membarrier(reach == Reach::process ? kPrivateExpedited : kGlobalExpedited);
}

void Sleep(uint32_t microseconds) {
  timespec time;
  time.tv_sec = microseconds / 1000000;
  time.tv_nsec = static_cast<long>(microseconds % 1000000) * 1000;
  nanosleep(&time, nullptr);
}

}  // namespace barrier
