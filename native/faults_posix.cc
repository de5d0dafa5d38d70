#include "faults.h"

#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <mutex>

#include "cause.h"
#include "signals_posix.h"

namespace faults {

// The signal handler reads the table of watches while other threads change it, and may neither lock
// nor allocate. So the table is static and never shrinks, and each watch has a version that is odd
// while its bounds change.
struct Watch {
  std::atomic<bool> taken;
  std::atomic<uint32_t> version;
  std::atomic<uintptr_t> start;
  std::atomic<uintptr_t> end;
  std::atomic<uint32_t> count;
  std::atomic<uint64_t> accesses[kRemembered];  // byte offset + 1; 0 is none
};

static_assert(std::atomic<uintptr_t>::is_always_lock_free, "the handler needs lock-free atomics");
static_assert(std::atomic<uint64_t>::is_always_lock_free, "the handler needs lock-free atomics");

namespace {

Watch watches[kWatches];

// The watches from this index on have never been used.
std::atomic<int> used{0};

// Linux limits the mappings of a process (vm.max_map_count) and its writable bytes (RLIMIT_DATA).
// Lifting a protection may need two more mappings, and makes a page writable. So some of both are
// held in reserve: pieces of address space that are never accessed. Every other piece is writable,
// so that each is a mapping.
constexpr size_t kReservePieces = 65;
constexpr size_t kPiecePages = 16;
std::atomic<char*> reserve{nullptr};
std::atomic<bool> reserved{false};

// The previous handlers of the signals.
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

// Returns empty bounds for a watch that is changing: it belongs to another mapping than the one
// being accessed, which stays mapped.
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
  // At the limit of mappings: a single page would split a mapping each time. All pages from this
  // one on become one mapping, and can't fault any more.
  if (!pages::Protect(start, bounds.end - first, pages::Access::readWrite)) return true;
  // At the limit of writable bytes: there may be room for one page, but not for all.
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

// Returns whether the fault is a forbidden access, and not an access to an unmapped address or a
// signal from kill().
bool IsProtectionFault(const siginfo_t* info) {
#if defined(__APPLE__)
  return info->si_code > 0;
#else
  return info->si_code == SEGV_ACCERR;
#endif
}

void OnFault(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
  const bool ours = IsProtectionFault(info) && Handle(address, context);
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
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* address = mmap(nullptr, kReservePieces * piece, PROT_NONE, flags, -1, 0);
    if (address == MAP_FAILED) return {errno, "mmap"};
    reserve.store(static_cast<char*>(address));
  }
  for (size_t index = 1; index < kReservePieces; index += 2) {
    char* start = reserve.load() + index * piece;
    if (const pages::Failure failure = pages::Protect(start, piece, pages::Access::readWrite)) {
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
  const pages::Failure failure = signals::Install(SIGSEGV, OnFault, &earlierSegv);
#if defined(__APPLE__)
  if (!failure) return signals::Install(SIGBUS, OnFault, &earlierBus);
#endif
  return failure;
}

void SpendReserve() {
  reserved.store(false);
  char* start = reserve.load();
  if (start == nullptr) return;
  mprotect(start, kReservePieces * kPiecePages * pages::PageSize(), PROT_NONE);
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
  // Taking the watch keeps other mappings from taking it.
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
