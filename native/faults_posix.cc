#include "faults.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <mutex>

#include "cause.h"

namespace faults {

// The handler reads the table of these while other threads change it, and may neither lock nor allocate. So the table is
// static, never shrinks, and each watch carries a version that is odd while its bounds change.
struct Watch {
  std::atomic<bool> taken;
  std::atomic<uint32_t> version;
  std::atomic<uintptr_t> start;
  std::atomic<uintptr_t> end;
  std::atomic<uint32_t> count;
  std::atomic<uint64_t> accesses[kRemembered];  // byte offset + 1; 0 is none
};

static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<uint64_t>::is_always_lock_free,
              "a signal handler can use only lock-free atomics");

namespace {

Watch watches[kWatches];

// No watch at or above this one was ever taken.
std::atomic<int> used{0};

// Linux limits the mappings of a process (vm.max_map_count) and its writable bytes (RLIMIT_DATA). Lifting a protection
// may need two more mappings, and makes a page writable. So some of both are held in reserve: pieces of address space, every
// other one of them writable, so that each is a mapping. Nobody ever touches them.
constexpr size_t kReservePieces = 65;
constexpr size_t kPiecePages = 16;
std::atomic<char*> reserve{nullptr};
std::atomic<bool> reserved{false};

// The handler that a signal had before ours.
struct Earlier {
  bool known;
  struct sigaction action;
  std::atomic<bool> ran;
};

Earlier earlierSegv;
#if defined(__APPLE__)
Earlier earlierBus;
#endif

void SetBounds(Watch& watch, uintptr_t start, uintptr_t end) {
  watch.version.fetch_add(1);
  watch.start.store(start);
  watch.end.store(end);
  watch.version.fetch_add(1);
}

struct Bounds {
  uintptr_t start;
  uintptr_t end;
  bool contain(uintptr_t address) const { return address >= start && address < end; }
};

// A watch that is changing is of another mapping than the one being accessed: that one is alive.
Bounds ReadBounds(const Watch& watch) {
  const uint32_t version = watch.version.load();
  const Bounds bounds{watch.start.load(), watch.end.load()};
  const bool stable = version % 2 == 0 && watch.version.load() == version;
  return stable ? bounds : Bounds{0, 0};
}

bool Lift(const Bounds& bounds, uintptr_t address) {
  const size_t page = pages::PageSize();
  const uintptr_t first = address / page * page;
  char* start = reinterpret_cast<char*>(first);
  if (!pages::Protect(start, page, pages::Access::readWrite)) return true;
  SpendReserve();
  // At the limit of mappings: one page of many splits a mapping each time, but all pages from this one on merge, and
  // none of them can fault after that.
  if (!pages::Protect(start, bounds.end - first, pages::Access::readWrite)) return true;
  // At the limit of writable bytes, so many pages were too many.
  return !pages::Protect(start, page, pages::Access::readWrite);
}

bool Handle(uintptr_t address, void* context) {
  const int end = used.load();
  for (int index = 0; index < end; index++) {
    Watch& watch = watches[index];
    const Bounds bounds = ReadBounds(watch);
    if (!bounds.contain(address)) continue;
    if (!cause::IsReadOrWrite(context, bounds.start, bounds.end)) return false;
    if (!Lift(bounds, address)) return false;
    const uint32_t position = watch.count.fetch_add(1);
    if (position < kRemembered) watch.accesses[position].store(address - bounds.start + 1);
    return true;
  }
  return false;
}

// A fault by a forbidden access, as opposed to one by an address without a mapping, or a signal from kill().
bool IsProtectionFault(const siginfo_t* info) {
#if defined(__APPLE__)
  return info->si_code > 0;
#else
  return info->si_code == SEGV_ACCERR;
#endif
}

bool Has(const struct sigaction& action, void (*handler)(int)) {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == handler;
}

// Does what would have happened without our handler.
void Chain(Earlier& earlier, int signal, siginfo_t* info, void* context) {
  const struct sigaction& action = earlier.action;
  // A handler that was to run once would have been replaced by the default action as it ran.
  const bool isSpent = (action.sa_flags & SA_RESETHAND) != 0 && earlier.ran.exchange(true);
  const bool isDefault = isSpent || Has(action, SIG_DFL);
  const bool isIgnored = !isSpent && Has(action, SIG_IGN);
  const bool sent = info->si_code <= 0;
  if (isIgnored && sent) return;
  if (isDefault || isIgnored) {
    // The instruction faults again after the return, and then nobody is there to catch it.
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);
    if (sent) raise(signal);
    return;
  }
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signal, info, context);
  } else {
    action.sa_handler(signal);
  }
}

void OnFault(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const bool ours = IsProtectionFault(info) && Handle(reinterpret_cast<uintptr_t>(info->si_addr), context);
  errno = saved;
  if (ours) return;
#if defined(__APPLE__)
  if (signal == SIGBUS) return Chain(earlierBus, signal, info, context);
#endif
  Chain(earlierSegv, signal, info, context);
}

// Installs our handler, and again when a later one went and left the default action. A later handler that is still there
// stays: it may pass on to ours what is not its own.
pages::Failure InstallFor(int signal, Earlier* earlier) {
  struct sigaction current;
  if (sigaction(signal, nullptr, &current) != 0) return {errno, "sigaction"};
  if (earlier->known && !Has(current, SIG_DFL) && !Has(current, SIG_IGN)) return {};
  if (!earlier->known) earlier->action = current;
  earlier->known = true;
  struct sigaction action = {};
  action.sa_sigaction = OnFault;
  // The handler before ours runs inside ours, so it gets the signal mask that it asked for.
  action.sa_mask = earlier->action.sa_mask;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | (earlier->action.sa_flags & (SA_NODEFER | SA_RESTART));
  if (sigaction(signal, &action, nullptr) != 0) return {errno, "sigaction"};
  return {};
}

pages::Failure FillReserve() {
  if (reserved.load()) return {};
  const size_t piece = kPiecePages * pages::PageSize();
  if (reserve.load() == nullptr) {
    void* address = mmap(nullptr, kReservePieces * piece, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) return {errno, "mmap"};
    reserve.store(static_cast<char*>(address));
  }
  for (size_t index = 1; index < kReservePieces; index += 2) {
    if (const pages::Failure failure = pages::Protect(reserve.load() + index * piece, piece, pages::Access::readWrite)) {
      SpendReserve();
      return failure;
    }
  }
  reserved.store(true);
  return {};
}

// Node unloads an addon when the last worker that loaded it ends. The handler must stay.
pages::Failure StayLoaded() {
  Dl_info library;
  const bool known = dladdr(reinterpret_cast<void*>(&OnFault), &library) != 0;
  if (known && dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) != nullptr) return {};
  return {ENOMEM, "dlopen"};
}

}  // namespace

pages::Failure Prepare() {
  static std::mutex mutex;
  static bool stays = false;
  const std::lock_guard<std::mutex> lock(mutex);
  if (const pages::Failure failure = FillReserve()) return failure;
  if (!stays) {
    if (const pages::Failure failure = StayLoaded()) return failure;
    stays = true;
  }
  if (const pages::Failure failure = InstallFor(SIGSEGV, &earlierSegv)) return failure;
#if defined(__APPLE__)
  if (const pages::Failure failure = InstallFor(SIGBUS, &earlierBus)) return failure;
#endif
  return {};
}

void SpendReserve() {
  reserved.store(false);
  if (char* start = reserve.load()) mprotect(start, kReservePieces * kPiecePages * pages::PageSize(), PROT_NONE);
}

Watch* Begin(const char* start, size_t length) {
  for (int index = 0; index < kWatches; index++) {
    Watch& watch = watches[index];
    if (watch.taken.exchange(true)) continue;
    int known = used.load();
    while (known <= index && !used.compare_exchange_weak(known, index + 1)) {
    }
    watch.count.store(0);
    for (auto& access : watch.accesses) access.store(0);
    Resume(&watch, start, length);
    return &watch;
  }
  return nullptr;
}

void Pause(Watch* watch) { SetBounds(*watch, 0, 0); }

void Resume(Watch* watch, const char* start, size_t length) {
  const uintptr_t first = reinterpret_cast<uintptr_t>(start);
  SetBounds(*watch, first, first + length);
}

void Release(Watch* watch) { watch->taken.store(false); }

std::vector<uint64_t> Drain(Watch* watch) {
  std::vector<uint64_t> offsets;
  watch->count.store(0);
  for (auto& access : watch->accesses) {
    if (const uint64_t value = access.exchange(0); value != 0) offsets.push_back(value - 1);
  }
  return offsets;
}

}  // namespace faults
