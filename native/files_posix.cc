#include "files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#if defined(__APPLE__)
#include <sys/sysctl.h>
#else
#include <linux/falloc.h>
#endif

#include "signals_posix.h"

namespace files {

namespace {

pages::Failure Refused(const char* call) { return {errno, call}; }

// ---- faults -------------------------------------------------------------------------------------

// The maximum number of mapped files of a process.
constexpr int kWatches = 1024;

// The signal handler reads this table while other threads change it, and may neither lock nor
// allocate. An entry that is changing belongs to another file than the one being accessed, which
// stays mapped.
struct Watch {
  std::atomic<bool> taken;
  std::atomic<uint32_t> version;  // odd while the rest changes
  std::atomic<uintptr_t> start;
  std::atomic<uintptr_t> end;
  std::atomic<uintptr_t> mark;
  std::atomic<size_t> stride;
  std::atomic<size_t> count;
  std::atomic<int32_t> value;
};

static_assert(std::atomic<uintptr_t>::is_always_lock_free, "the handler needs lock-free atomics");

Watch watches[kWatches];
std::atomic<int> used{0};
signals::Earlier earlier;

bool ReplacePages(uintptr_t start, uintptr_t end) {
#if defined(MAP_NORESERVE)
  constexpr int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
#else
  constexpr int kind = MAP_PRIVATE | MAP_ANON | MAP_FIXED;
#endif
  void* address = reinterpret_cast<void*>(start);
  return mmap(address, end - start, PROT_READ | PROT_WRITE, kind, -1, 0) == address;
}

bool LoseAt(Watch& watch, uintptr_t address) {
  const uint32_t version = watch.version.load();
  const uintptr_t start = watch.start.load();
  const uintptr_t end = watch.end.load();
  const uintptr_t mark = watch.mark.load();
  const size_t stride = watch.stride.load();
  const size_t count = watch.count.load();
  const int32_t value = watch.value.load();
  if (version % 2 != 0 || watch.version.load() != version) return false;
  if (address < start || address >= end) return false;
  if (!ReplacePages(start, end)) return false;
  for (size_t index = 0; index < count; index++) {
    *reinterpret_cast<volatile int32_t*>(mark + index * stride) = value;
  }
  return true;
}

bool Survive(uintptr_t address) {
  const int end = used.load();
  for (int index = 0; index < end; index++) {
    if (LoseAt(watches[index], address)) return true;
  }
  return false;
}

// Returns whether the fault is an access beyond the end of the file, and not a memory error or a
// signal from kill().
bool IsBeyondEnd(const siginfo_t* info) {
#if defined(__APPLE__)
  return info->si_code > 0;
#else
  return info->si_code == BUS_ADRERR;
#endif
}

void OnFault(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const bool ours = IsBeyondEnd(info) && Survive(reinterpret_cast<uintptr_t>(info->si_addr));
  errno = saved;
  if (!ours) signals::Chain(earlier, signal, info, context);
}

pages::Failure Prepare() {
  static std::mutex mutex;
  static bool stays = false;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!stays) {
    if (const pages::Failure failure = signals::StayLoaded(OnFault)) return failure;
    stays = true;
  }
  return signals::Install(SIGBUS, OnFault, &earlier);
}

void SetWatch(Watch& watch, const File& file, bool on) {
  const uintptr_t start = reinterpret_cast<uintptr_t>(file.start);
  watch.version.fetch_add(1);
  watch.start.store(on ? start : 0);
  watch.end.store(on ? start + file.length : 0);
  watch.mark.store(start + file.head + file.marks.offset);
  watch.stride.store(file.marks.stride);
  watch.count.store(file.marks.count);
  watch.value.store(file.marks.value);
  watch.version.fetch_add(1);
}

void EndWatch(File* file) {
  if (file->watch < 0) return;
  SetWatch(watches[file->watch], *file, false);
  watches[file->watch].taken.store(false);
  file->watch = -1;
}

int BeginWatch(const File& file) {
  for (int index = 0; index < kWatches; index++) {
    Watch& watch = watches[index];
    if (watch.taken.exchange(true)) continue;
    int known = used.load();
    while (known <= index && !used.compare_exchange_weak(known, index + 1)) {
    }
    SetWatch(watch, file, true);
    return index;
  }
  return -1;
}

// ---- locks --------------------------------------------------------------------------------------

#if defined(F_OFD_SETLK)
struct flock RangeOf(uint64_t byte, short type) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(byte);
  range.l_len = 1;
  return range;
}
#endif

// Other code in the process may have closed the descriptor, and its number may be another file now.
pages::Failure Verify(const File& file, struct stat* status) {
  if (fstat(file.descriptor, status) != 0) return Refused("fstat");
  const bool same = static_cast<uint64_t>(status->st_dev) == file.device &&
                    static_cast<uint64_t>(status->st_ino) == file.node;
  if (!same) return {EBADF, "fstat"};
  return {};
}

pages::Failure Verify(const File& file) {
  struct stat status;
  return Verify(file, &status);
}

// Reserves disk space on file systems without a call for that: rewrites one byte of each block.
pages::Failure WriteBack(const File& file, uint64_t offset, uint64_t length) {
  constexpr uint64_t block = 4096;
  for (uint64_t at = offset; at < offset + length; at = (at / block + 1) * block) {
    char byte = 0;
    if (pread(file.descriptor, &byte, 1, static_cast<off_t>(at)) < 0) return Refused("pread");
    if (pwrite(file.descriptor, &byte, 1, static_cast<off_t>(at)) < 0) return Refused("pwrite");
  }
  return {};
}

}  // namespace

pages::Failure Open(const char* path, bool write, bool create, bool own, File* file) {
  int flags = O_CLOEXEC | (write ? O_RDWR : O_RDONLY);
  if (create) flags |= O_CREAT;
  if (own) flags |= O_NOFOLLOW;
  int descriptor;
  do {
    // Don't block: opening a pipe would wait for its other end.
    descriptor = open(path, flags | O_NONBLOCK, own ? 0600 : 0666);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return {own && errno == ELOOP ? EPERM : errno, "open"};
  struct stat status;
  pages::Failure failure;
  if (fstat(descriptor, &status) != 0) {
    failure = Refused("fstat");
  } else if (!S_ISREG(status.st_mode)) {
    failure = {S_ISDIR(status.st_mode) ? EISDIR : EINVAL, "open"};
  } else if (own && status.st_uid != geteuid()) {
    failure = {EPERM, "open"};
  }
  if (failure) {
    close(descriptor);
    return failure;
  }
  file->descriptor = descriptor;
  file->write = write;
  file->device = static_cast<uint64_t>(status.st_dev);
  file->node = static_cast<uint64_t>(status.st_ino);
  return {};
}

pages::Failure SetLock(const File& file, uint64_t byte, Lock lock) {
  if (const pages::Failure failure = Verify(file)) return failure;
#if defined(F_OFD_SETLK)
  const short type = lock == Lock::exclusive ? F_WRLCK : lock == Lock::shared ? F_RDLCK : F_UNLCK;
  struct flock range = RangeOf(byte, type);
  if (fcntl(file.descriptor, F_OFD_SETLK, &range) == 0) return {};
  if (errno == EACCES) errno = EAGAIN;
#else
  if (byte != 0) return {ENOTSUP, "lock"};
  const int type = lock == Lock::exclusive ? LOCK_EX : lock == Lock::shared ? LOCK_SH : LOCK_UN;
  if (flock(file.descriptor, type | LOCK_NB) == 0) return {};
  if (errno == EWOULDBLOCK) errno = EAGAIN;
#endif
  return Refused("lock");
}

pages::Failure IsLocked(const File& file, uint64_t byte, bool* locked) {
  if (const pages::Failure failure = Verify(file)) return failure;
#if defined(F_OFD_GETLK)
  struct flock range = RangeOf(byte, F_WRLCK);
  if (fcntl(file.descriptor, F_OFD_GETLK, &range) != 0) return Refused("lock");
  *locked = range.l_type != F_UNLCK;
#else
  if (byte != 0) return {ENOTSUP, "lock"};
  *locked = flock(file.descriptor, LOCK_EX | LOCK_NB) != 0;
  if (*locked && errno != EWOULDBLOCK) return Refused("lock");
  if (!*locked) flock(file.descriptor, LOCK_UN);
#endif
  return {};
}

pages::Failure Length(const File& file, uint64_t* bytes) {
  struct stat status;
  if (const pages::Failure failure = Verify(file, &status)) return failure;
  *bytes = static_cast<uint64_t>(status.st_size);
  return {};
}

pages::Failure Write(const File& file, const void* bytes, size_t length, uint64_t offset) {
  if (const pages::Failure failure = Verify(file)) return failure;
  const char* from = static_cast<const char*>(bytes);
  for (size_t done = 0; done < length;) {
    const off_t at = static_cast<off_t>(offset + done);
    const ssize_t written = pwrite(file.descriptor, from + done, length - done, at);
    if (written < 0 && errno != EINTR) return Refused("pwrite");
    if (written > 0) done += static_cast<size_t>(written);
  }
  return {};
}

pages::Failure Read(const File& file, void* bytes, size_t length, uint64_t offset, size_t* done) {
  if (const pages::Failure failure = Verify(file)) return failure;
  char* to = static_cast<char*>(bytes);
  for (*done = 0; *done < length;) {
    const off_t at = static_cast<off_t>(offset + *done);
    const ssize_t count = pread(file.descriptor, to + *done, length - *done, at);
    if (count < 0 && errno != EINTR) return Refused("pread");
    if (count == 0) return {};
    if (count > 0) *done += static_cast<size_t>(count);
  }
  return {};
}

pages::Failure Resize(const File& file, uint64_t length) {
  if (const pages::Failure failure = Verify(file)) return failure;
  int result;
  do {
    result = ftruncate(file.descriptor, static_cast<off_t>(length));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return Refused("ftruncate");
  return {};
}

pages::Failure Reserve(const File& file, uint64_t offset, uint64_t length) {
  if (const pages::Failure failure = Verify(file)) return failure;
#if defined(__linux__)
  const off_t at = static_cast<off_t>(offset);
  int result;
  do {
    result = fallocate(file.descriptor, FALLOC_FL_KEEP_SIZE, at, static_cast<off_t>(length));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return {};
  if (errno != EOPNOTSUPP && errno != ENOSYS) return Refused("fallocate");
#endif
  return WriteBack(file, offset, length);
}

pages::Failure Clear(const File& file, uint64_t offset, uint64_t length, bool keep) {
  if (const pages::Failure failure = Verify(file)) return failure;
#if defined(__APPLE__)
  if (keep) return {ENOTSUP, "fcntl"};
  fpunchhole_t hole = {};
  hole.fp_offset = static_cast<off_t>(offset);
  hole.fp_length = static_cast<off_t>(length);
  if (fcntl(file.descriptor, F_PUNCHHOLE, &hole) != 0) return Refused("fcntl");
  return {};
#else
  const int mode = FALLOC_FL_KEEP_SIZE | (keep ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);
  const off_t at = static_cast<off_t>(offset);
  int result;
  do {
    result = fallocate(file.descriptor, mode, at, static_cast<off_t>(length));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return Refused("fallocate");
  return {};
#endif
}

pages::Failure Map(size_t head, size_t length, const Marks& marks, File* file) {
  if (const pages::Failure failure = Verify(*file)) return failure;
  if (const pages::Failure failure = Prepare()) return failure;
#if defined(MAP_NORESERVE)
  const int kind = file->write ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
#else
  const int kind = file->write ? MAP_SHARED : MAP_PRIVATE;
#endif
  void* address = mmap(nullptr, length, PROT_READ | PROT_WRITE, kind, file->descriptor, 0);
  if (address == MAP_FAILED) return Refused("mmap");
  file->start = static_cast<char*>(address);
  file->head = head;
  file->length = length;
  file->marks = marks;
  file->watch = BeginWatch(*file);
  if (file->watch >= 0) return {};
  Unmap(file);
  return {EMFILE, "mmap"};
}

pages::Failure Sync(const File& file, size_t offset, size_t length) {
  if (msync(file.start + offset, length, MS_SYNC) != 0) return Refused("msync");
  return {};
}

pages::Failure Flush(const File& file) {
  if (const pages::Failure failure = Verify(file)) return failure;
  int result;
  do {
#if defined(__APPLE__)
    result = fcntl(file.descriptor, F_FULLFSYNC);
#else
    result = fdatasync(file.descriptor);
#endif
  } while (result != 0 && errno == EINTR);
  if (result != 0) return Refused("fdatasync");
  return {};
}

pages::Failure Retire(File* file) {
  const uintptr_t start = reinterpret_cast<uintptr_t>(file->start);
  if (!ReplacePages(start, start + file->length)) return Refused("mmap");
  // Private pages don't fault.
  EndWatch(file);
  return {};
}

pages::Failure Lose(File* file) {
  const uintptr_t start = reinterpret_cast<uintptr_t>(file->start);
  if (!LoseAt(watches[file->watch], start)) return Refused("mmap");
  return {};
}

pages::Failure Unmap(File* file) {
  if (file->start == nullptr) return {};
  // The pages can't be accessed any more.
  EndWatch(file);
  if (munmap(file->start, file->length) != 0) return Refused("munmap");
  file->start = nullptr;
  return {};
}

void Close(File* file) {
  struct stat status;
  // Don't close a descriptor that belongs to another file now.
  if (file->descriptor >= 0 && !Verify(*file, &status)) close(file->descriptor);
  file->descriptor = -1;
}

pages::Failure BootId(int32_t words[4]) {
  char text[64] = {};
#if defined(__APPLE__)
  size_t size = sizeof(text) - 1;
  if (sysctlbyname("kern.bootsessionuuid", text, &size, nullptr, 0) != 0) return Refused("sysctl");
#else
  const int descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return Refused("open");
  const ssize_t length = read(descriptor, text, sizeof(text) - 1);
  const int error = errno;
  close(descriptor);
  if (length < 0) return {error, "read"};
#endif
  // The id is 32 hexadecimal digits with dashes between them.
  int digits = 0;
  for (const char* at = text; *at != '\0' && digits < 32; at++) {
    uint32_t digit;
    if (*at >= '0' && *at <= '9') {
      digit = static_cast<uint32_t>(*at - '0');
    } else if ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'f') {
      digit = static_cast<uint32_t>((*at | 0x20) - 'a' + 10);
    } else {
      continue;
    }
    const uint32_t word = static_cast<uint32_t>(words[digits / 8]);
    words[digits / 8] = static_cast<int32_t>((digits % 8 == 0 ? 0 : word << 4) | digit);
    digits++;
  }
  if (digits < 32) return {EINVAL, "boot id"};
  return {};
}

}  // namespace files
