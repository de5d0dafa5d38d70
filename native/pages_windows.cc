// Windows reserves memory for a page when it is committed, not at its first access. So a mapping
// reserves addresses only, and pages are committed later: by Commit() as a heap grows, or by the
// first access to a page (faults_windows.cc).
#include "pages.h"

#define NOMINMAX
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// Use the functions in kernel32.dll, not those in psapi.dll.
#define PSAPI_VERSION 2
#include <psapi.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace pages {

namespace {

int ErrnoOf(DWORD error) {
  switch (error) {
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_WORKING_SET_QUOTA:
    case ERROR_NOT_ENOUGH_QUOTA:
      return ENOMEM;
    case ERROR_ACCESS_DENIED:
    case ERROR_PRIVILEGE_NOT_HELD:
      return EPERM;
    default:
      return EINVAL;
  }
}

Failure Refused(const char* call) { return {ErrnoOf(GetLastError()), call}; }

// Calls visit(start, length, isCommitted) for each run of pages that are all committed, or all not.
template <typename Visit>
Failure EachRun(char* start, size_t length, Visit visit) {
  char* const end = start + length;
  while (start < end) {
    MEMORY_BASIC_INFORMATION run;
    if (VirtualQuery(start, &run, sizeof(run)) == 0) return Refused("VirtualQuery");
    char* const runEnd = static_cast<char*>(run.BaseAddress) + run.RegionSize;
    const size_t size = static_cast<size_t>(std::min(end, runEnd) - start);
    if (const Failure failure = visit(start, size, run.State == MEM_COMMIT)) return failure;
    start += size;
  }
  return {};
}

Failure CommitRun(char* start, size_t length) {
  void* const committed = VirtualAlloc(start, length, MEM_COMMIT, PAGE_READWRITE);
  return committed == nullptr ? Refused("VirtualAlloc") : Failure{};
}

Failure Lock(char* start, size_t length) {
  if (VirtualLock(start, length)) return {};
  if (GetLastError() != ERROR_WORKING_SET_QUOTA) return Refused("VirtualLock");
  // A process may lock no more than its minimum working set minus a few pages, but may raise that
  // minimum itself.
  SIZE_T least = 0;
  SIZE_T most = 0;
  const HANDLE process = GetCurrentProcess();
  if (!GetProcessWorkingSetSize(process, &least, &most)) return Refused("VirtualLock");
  const SIZE_T more = length + 16 * PageSize();
  if (!SetProcessWorkingSetSize(process, least + more, most + more)) return Refused("VirtualLock");
  return VirtualLock(start, length) ? Failure{} : Refused("VirtualLock");
}

Failure Prepare(const Span& span, const Options& options) {
  if (!options.populate && !options.lock) return {};
  if (const Failure failure = CommitRun(span.start, span.length)) return failure;
  if (options.lock) {
    if (const Failure failure = Lock(span.start, span.length)) return failure;
  }
  // The memory is new, so its bytes stay zero.
  for (size_t offset = 0; offset < span.length; offset += PageSize()) {
    *const_cast<volatile char*>(span.start + offset) = 0;
  }
  return {};
}

}  // namespace

size_t PageSize() {
  static const size_t size = [] {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return static_cast<size_t>(info.dwPageSize);
  }();
  return size;
}

double LockLimit() { return std::numeric_limits<double>::infinity(); }

bool ChargesCommit() { return true; }

Failure Map(size_t length, const Options& options, Span* span) {
  *span = {};
  // Large pages on Windows need a privilege that few users have, and can be neither reserved nor
  // returned in part.
  if (options.hugePages) return {ENOTSUP, "VirtualAlloc"};
  const size_t guard = options.guard ? PageSize() : 0;
  const size_t reserved = length + 2 * guard;
  void* address = VirtualAlloc(nullptr, reserved, MEM_RESERVE, PAGE_READWRITE);
  if (address == nullptr) {
    // ERROR_INVALID_PARAMETER: the size is beyond the address space.
    const DWORD error = GetLastError();
    return {error == ERROR_INVALID_PARAMETER ? ENOMEM : ErrnoOf(error), "VirtualAlloc"};
  }
  char* const reservation = static_cast<char*>(address);
  const Span mapped{reservation, reserved, reservation + guard, length};
  const Failure failure = Prepare(mapped, options);
  if (failure) VirtualFree(reservation, 0, MEM_RELEASE);
  else *span = mapped;
  return failure;
}

// A later access commits its page again (faults_windows.cc). A system call fails.
Failure Retire(const Span& span) {
  if (!VirtualFree(span.start, span.length, MEM_DECOMMIT)) return Refused("VirtualFree");
  return {};
}

Failure Unmap(const Span& span) {
  if (!VirtualFree(span.reservation, 0, MEM_RELEASE)) return Refused("VirtualFree");
  return {};
}

Failure Commit(char* start, size_t length) {
  return EachRun(start, length, [](char* run, size_t size, bool isCommitted) {
    // Committing a page again would lift its protection.
    return isCommitted ? Failure{} : CommitRun(run, size);
  });
}

Failure Decommit(char* start, size_t length, bool locked, bool) {
  if (locked) return {EINVAL, "VirtualFree"};
  return EachRun(start, length, [](char* run, size_t size, bool isCommitted) -> Failure {
    if (!isCommitted) return {};
    if (!VirtualFree(run, size, MEM_DECOMMIT)) return Refused("VirtualFree");
    // Commit the pages again, because a system call fails on an uncommitted page. If this fails,
    // the next access commits its page.
    CommitRun(run, size);
    return {};
  });
}

Failure Protect(char* start, size_t length, Access access) {
  const DWORD wanted = access == Access::none   ? PAGE_NOACCESS
                       : access == Access::read ? PAGE_READONLY
                                                : PAGE_READWRITE;
  return EachRun(start, length, [wanted](char* run, size_t size, bool isCommitted) -> Failure {
    if (!isCommitted) {
      // Pages become readable and writable when they are committed.
      if (wanted == PAGE_READWRITE) return {};
      if (const Failure failure = CommitRun(run, size)) return failure;
    }
    DWORD before;
    if (!VirtualProtect(run, size, wanted, &before)) return Refused("VirtualProtect");
    return {};
  });
}

Failure Resident(char* start, size_t length, uint64_t* bytes) {
  uint64_t resident = 0;
  const auto countRun = [&resident](char* run, size_t size, bool isCommitted) -> Failure {
    if (!isCommitted) return {};
    PSAPI_WORKING_SET_EX_INFORMATION pages[512];
    const size_t count = size / PageSize();
    for (size_t first = 0; first < count; first += 512) {
      const size_t chunk = std::min<size_t>(512, count - first);
      for (size_t index = 0; index < chunk; index++) {
        pages[index].VirtualAddress = run + (first + index) * PageSize();
      }
      const DWORD bytesOfPages = static_cast<DWORD>(chunk * sizeof(*pages));
      if (!QueryWorkingSetEx(GetCurrentProcess(), pages, bytesOfPages)) {
        return Refused("QueryWorkingSetEx");
      }
      for (size_t index = 0; index < chunk; index++) {
        resident += pages[index].VirtualAttributes.Valid;
      }
    }
    return {};
  };
  const Failure failure = EachRun(start, length, countRun);
  *bytes = resident * PageSize();
  return failure;
}

}  // namespace pages
