// The system calls behind a heap file: open, lock and map it, reserve disk space, punch holes,
// write it to the disk. No JavaScript, no allocation policy. Implemented in files_posix.cc for
// Linux and macOS.
//
// Another process may truncate a file while it is mapped. An access beyond its new end then faults
// (SIGBUS). The handler replaces all mapped pages of the file by private zero pages, so that this
// access and all later ones succeed, and nothing is written to the file any more. TypeScript
// detects the loss because the head is zero.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pages.h"

namespace files {

// The words that are set when a file is lost, so that its users notice: `count` int32 words of the
// body, the first at byte `offset`, each `stride` bytes after the one before.
struct Marks {
  size_t offset = 0;
  size_t stride = 0;
  size_t count = 0;
  int32_t value = 0;
};

// An open file, and its mapping:
//
//   start        start + head                  start + length
//   | head       | body                        |
struct File {
  int descriptor = -1;
  bool write = false;
  uint64_t device = 0;
  uint64_t node = 0;
  char* start = nullptr;
  size_t head = 0;
  size_t length = 0;
  Marks marks;
  int watch = -1;
};

// Opens a file, for reading and writing or for reading only. `create`: creates a missing file.
// `own`: for a folder in which every user can create files. The file is created with access for
// this user only, and an existing one is rejected (EPERM) if it is a link or belongs to another
// user.
pages::Failure Open(const char* path, bool write, bool create, bool own, File* file);

// The lock of an open file on a byte.
enum class Lock { none, shared, exclusive };

// Sets the lock of this open file on one byte, which may be beyond the end of the file. Fails with
// EAGAIN from "lock" when the lock of another open file excludes that; an earlier lock is kept. A
// lock belongs to the open file, not to the process. It is released with the last descriptor and
// page of the file, also when the process is killed. On macOS only byte 0 can be locked.
pages::Failure SetLock(const File& file, uint64_t byte, Lock lock);

// Tests whether another open file holds any lock on the byte.
pages::Failure IsLocked(const File& file, uint64_t byte, bool* locked);

// Gets the length of the file, in bytes.
pages::Failure Length(const File& file, uint64_t* bytes);

// Reads up to `length` bytes from an offset. `*done` is less only at the end of the file.
pages::Failure Read(const File& file, void* bytes, size_t length, uint64_t offset, size_t* done);

// Writes bytes at an offset.
pages::Failure Write(const File& file, const void* bytes, size_t length, uint64_t offset);

// Sets the length of the file. Added bytes are zero, and have no disk space.
pages::Failure Resize(const File& file, uint64_t length);

// Reserves disk space. Fails with ENOSPC when the disk is full.
pages::Failure Reserve(const File& file, uint64_t offset, uint64_t length);

// Sets bytes to zero, and returns the memory of their pages. With `keep`, their disk space stays
// reserved; otherwise it is released. Fails with EOPNOTSUPP if the file system can't do that.
pages::Failure Clear(const File& file, uint64_t offset, uint64_t length, bool keep);

// Maps the first `length` bytes of the file, and watches them for faults. The pages of a file
// opened for reading are private: stores are visible in this process only.
pages::Failure Map(size_t head, size_t length, const Marks& marks, File* file);

// Writes mapped pages to the disk.
pages::Failure Sync(const File& file, size_t offset, size_t length);

// Flushes the write cache of the disk.
pages::Failure Flush(const File& file);

// Replaces the mapped pages by zero pages, as a fault beyond the end does. They stay accessible.
pages::Failure Retire(File* file);

// Replaces the mapped pages by zero pages, and sets the marks: the file is lost.
pages::Failure Lose(File* file);

// Unmaps the pages, if there are any.
pages::Failure Unmap(File* file);

// Closes the file. Its locks are released when its pages are unmapped too.
void Close(File* file);

// Gets the id of the current boot: 128 bits that change when the machine restarts.
pages::Failure BootId(int32_t words[4]);

}  // namespace files
