// Heap files are not supported on Windows: a mapped file can't be truncated there, no part of it
// can be returned, and its loss can't be detected. So the guarantees of files.h can't be met, and
// opening a heap file fails.
#include "files.h"

#include <cerrno>

namespace files {

namespace {

constexpr pages::Failure kUnsupported{ENOTSUP, "CreateFileMapping"};

}  // namespace

pages::Failure Open(const char*, bool, bool, bool, File*) { return kUnsupported; }
pages::Failure SetLock(const File&, uint64_t, Lock) { return kUnsupported; }
pages::Failure IsLocked(const File&, uint64_t, bool*) { return kUnsupported; }
pages::Failure Length(const File&, uint64_t*) { return kUnsupported; }
pages::Failure Read(const File&, void*, size_t, uint64_t, size_t*) { return kUnsupported; }
pages::Failure Write(const File&, const void*, size_t, uint64_t) { return kUnsupported; }
pages::Failure Resize(const File&, uint64_t) { return kUnsupported; }
pages::Failure Reserve(const File&, uint64_t, uint64_t) { return kUnsupported; }
pages::Failure Clear(const File&, uint64_t, uint64_t, bool) { return kUnsupported; }
pages::Failure Map(size_t, size_t, const Marks&, File*) { return kUnsupported; }
pages::Failure Sync(const File&, size_t, size_t) { return kUnsupported; }
pages::Failure Flush(const File&) { return kUnsupported; }
pages::Failure Retire(File*) { return kUnsupported; }
pages::Failure Lose(File*) { return kUnsupported; }
pages::Failure Unmap(File*) { return {}; }
void Close(File*) {}
pages::Failure BootId(int32_t[4]) { return kUnsupported; }

}  // namespace files
