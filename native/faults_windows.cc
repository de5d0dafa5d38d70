// A vectored exception handler. Windows calls it on the thread that faulted, before any other
// handler. Unlike a signal handler it may lock. A thread that holds the lock does not access
// watched memory, so no thread can wait for itself.
#define NOMINMAX
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "faults.h"

namespace faults {

// A member of the list of all watched mappings.
struct Watch {
  Watch* next;
  Watch* previous;
  uintptr_t start;
  uintptr_t end;
  uint32_t count;
  uint64_t accesses[kRemembered];
};

namespace {

// The number of bytes that are committed at an access to an uncommitted page: that page and its
// neighbours. They count towards the commit limit, but take no memory.
constexpr uintptr_t kCommitBytes = 64 << 10;

SRWLOCK lock = SRWLOCK_INIT;
Watch* first = nullptr;
void* handler = nullptr;

bool CommitAround(const Watch& watch, uintptr_t address, const MEMORY_BASIC_INFORMATION& run) {
  const uintptr_t runStart = reinterpret_cast<uintptr_t>(run.BaseAddress);
  const uintptr_t from = std::max({watch.start, runStart, address / kCommitBytes * kCommitBytes});
  const uintptr_t runEnd = runStart + run.RegionSize;
  const uintptr_t to = std::min({watch.end, runEnd, (address / kCommitBytes + 1) * kCommitBytes});
  if (!pages::Commit(reinterpret_cast<char*>(from), to - from)) return true;
  // Near the limit of the system, a single page may still be available.
  const uintptr_t page = address / pages::PageSize() * pages::PageSize();
  return !pages::Commit(reinterpret_cast<char*>(page), pages::PageSize());
}

bool Allows(DWORD protection, bool isWrite) {
  const DWORD access = protection & 0xff;
  return access == PAGE_READWRITE || (access == PAGE_READONLY && !isWrite);
}

// Returns whether the access will succeed when it is repeated.
bool Handle(Watch& watch, uintptr_t address, bool isWrite) {
  MEMORY_BASIC_INFORMATION run;
  void* const place = reinterpret_cast<void*>(address);
  if (VirtualQuery(place, &run, sizeof(run)) == 0) return false;
  if (run.State == MEM_RESERVE) return CommitAround(watch, address, run);
  // Another thread has lifted the protection already.
  if (Allows(run.Protect, isWrite)) return true;
  char* const page = reinterpret_cast<char*>(address / pages::PageSize() * pages::PageSize());
  if (pages::Protect(page, pages::PageSize(), pages::Access::readWrite)) return false;
  if (watch.count < kRemembered) watch.accesses[watch.count++] = address - watch.start;
  return true;
}

LONG CALLBACK OnException(EXCEPTION_POINTERS* exception) {
  const EXCEPTION_RECORD& record = *exception->ExceptionRecord;
  if (record.ExceptionCode != EXCEPTION_ACCESS_VIOLATION) return EXCEPTION_CONTINUE_SEARCH;
  if (record.NumberParameters < 2) return EXCEPTION_CONTINUE_SEARCH;
  // 0 is a read, 1 a write; anything else would fault forever.
  if (record.ExceptionInformation[0] > 1) return EXCEPTION_CONTINUE_SEARCH;
  const bool isWrite = record.ExceptionInformation[0] == 1;
  const uintptr_t address = record.ExceptionInformation[1];
  const DWORD error = GetLastError();
  bool handled = false;
  // Exclusive: two threads that fault at the same time must not both record the same page.
  AcquireSRWLockExclusive(&lock);
  for (Watch* watch = first; watch != nullptr; watch = watch->next) {
    if (address < watch->start || address >= watch->end) continue;
    handled = Handle(*watch, address, isWrite);
    break;
  }
  ReleaseSRWLockExclusive(&lock);
  SetLastError(error);
  return handled ? EXCEPTION_CONTINUE_EXECUTION : EXCEPTION_CONTINUE_SEARCH;
}

// Node unloads an addon when the last worker that loaded it ends. The handler must stay loaded.
bool StayLoaded() {
  HMODULE self;
  const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
  return GetModuleHandleExW(flags, reinterpret_cast<LPCWSTR>(&OnException), &self) != 0;
}

}  // namespace

pages::Failure Prepare() {
  // A separate lock: Windows holds an internal lock while it calls handlers.
  static SRWLOCK installing = SRWLOCK_INIT;
  AcquireSRWLockExclusive(&installing);
  if (handler == nullptr && StayLoaded()) handler = AddVectoredExceptionHandler(1, OnException);
  const bool installed = handler != nullptr;
  ReleaseSRWLockExclusive(&installing);
  return installed ? pages::Failure{} : pages::Failure{ENOMEM, "AddVectoredExceptionHandler"};
}

void SpendReserve() {}

Watch* Begin(const char* start, size_t length) {
  Watch* const watch = new (std::nothrow) Watch();
  if (watch == nullptr) return nullptr;
  const uintptr_t from = reinterpret_cast<uintptr_t>(start);
  watch->start = from;
  watch->end = from + length;
  AcquireSRWLockExclusive(&lock);
  watch->next = first;
  if (first != nullptr) first->previous = watch;
  first = watch;
  ReleaseSRWLockExclusive(&lock);
  return watch;
}

void End(Watch* watch) {
  AcquireSRWLockExclusive(&lock);
  if (watch->previous == nullptr) first = watch->next;
  else watch->previous->next = watch->next;
  if (watch->next != nullptr) watch->next->previous = watch->previous;
  ReleaseSRWLockExclusive(&lock);
  delete watch;
}

void Retire(Watch*) {}

void EndRetired(Watch* watch, const char*) { End(watch); }

std::vector<uint64_t> Drain(Watch* watch) {
  uint64_t accesses[kRemembered];
  AcquireSRWLockExclusive(&lock);
  const uint32_t count = watch->count;
  std::memcpy(accesses, watch->accesses, count * sizeof(*accesses));
  watch->count = 0;
  ReleaseSRWLockExclusive(&lock);
  return std::vector<uint64_t>(accesses, accesses + count);
}

}  // namespace faults
