#include "faults.h"

#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <mutex>

#include "cause.h"
#include "signals_posix.h"

namespace faults {

// The handler reads the table of these while other threads change it, and may neither lock nor
// allocate. So the table is static, never shrinks, and each watch carries a version that is odd
// while its bounds change.
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

// Linux limits the mappings of a process (vm.max_map_count) and its writable bytes (RLIMIT_DATA).
// Lifting a protection may need two more mappings, and makes a page writable. So some of both are
// held in reserve: pieces of address space, every other one of them writable, so that each is a
// mapping. Nobody ever touches them.
constexpr size_t kReservePieces = 65;
constexpr size_t kPiecePages = 16;
std::atomic<char*> reserve{nullptr};
std::atomic<bool> reserved{false};

// The handlers that the signals had before ours.
signals::Earlier earlierSegv;
#if defined(__APPLE__)
signals::Earlier earlierBus;
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
  // At the limit of mappings: one page of many splits a mapping each time, but all pages from this
  // one on merge, and none of them can fault after that.
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

// A fault by a forbidden access, as opposed to one by an address without a mapping, or a signal
// from kill().
bool IsProtectionFault(const siginfo_t* info) {
#if defined(__APPLE__)
  return info->si_code > 0;
#else
  return info->si_code == SEGV_ACCERR;
#endif
}

void OnFault(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const bool ours = IsProtectionFault(info) && Handle(reinterpret_cast<uintptr_t>(info->si_addr), context);
  errno = saved;
  if (ours) return;
#if defined(__APPLE__)
  if (signal == SIGBUS) return signals::Chain(earlierBus, signal, info, context);
#endif
  signals::Chain(earlierSegv, signal, info, context);
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

}  // namespace

pages::Failure Prepare() {
  static std::mutex mutex;
  static bool stays = false;
  const std::lock_guard<std::mutex> lock(mutex);
  if (const pages::Failure failure = FillReserve()) return failure;
  if (!stays) {
    if (const pages::Failure failure = signals::StayLoaded(OnFault)) return failure;
    stays = true;
  }
  if (const pages::Failure failure = signals::Install(SIGSEGV, OnFault, &earlierSegv)) return failure;
#if defined(__APPLE__)
  if (const pages::Failure failure = signals::Install(SIGBUS, OnFault, &earlierBus)) return failure;
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
    const uintptr_t first = reinterpret_cast<uintptr_t>(start);
    SetBounds(watch, first, first + length);
    return &watch;
  }
  return nullptr;
}

void End(Watch* watch) {
  SetBounds(*watch, 0, 0);
  watch->taken.store(false);
}

void Retire(Watch* watch) { watch->taken.store(false); }

void EndRetired(Watch* watch, const char* start) {
  // While it is taken here, no other mapping can take it.
  if (watch->taken.exchange(true)) return;
  if (watch->start.load() == reinterpret_cast<uintptr_t>(start)) SetBounds(*watch, 0, 0);
  watch->taken.store(false);
}

std::vector<uint64_t> Drain(Watch* watch) {
  std::vector<uint64_t> offsets;
  watch->count.store(0);
  for (auto& access : watch->accesses) {
    if (const uint64_t value = access.exchange(0); value != 0) offsets.push_back(value - 1);
  }
  return offsets;
}

}  // namespace faults
