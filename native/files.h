// The system calls behind a heap file: open and lock it, map it, reserve disk space, punch holes,
// write it to the disk. No JavaScript, no allocation policy. files_posix.cc has them for Linux and
// macOS.
//
// A file may be truncated by somebody else while it is mapped: then an access beyond its new end
// faults (SIGBUS). The handler replaces all mapped pages of that file by zero pages of this
// process, so that the access and all later ones go on and nothing reaches the file any more.
// TypeScript sees that the file is lost by its head, which is zero then.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pages.h"

namespace files {

// Which words of a lost file are set, so that whoever works on it takes notice: `count` int32 words
// of the body, the first at `offset`, the others `stride` bytes apart.
struct Marks {
  size_t offset = 0;
  size_t stride = 0;
  size_t count = 0;
  int32_t value = 0;
};

// An open file. The mapping:
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

// Opens a file, for reading and writing or for reading alone. `create`: makes an empty file when
// there is none. `own`: the file may be in a folder where anyone can make files, so it is made for
// this user alone, and refused (EPERM) if it is a link or belongs to another user.
pages::Failure Open(const char* path, bool write, bool create, bool own, File* file);

// What an open file can hold of a byte: several can share it, or one can have it exclusively.
enum class Lock { none, shared, exclusive };

// Sets the lock of this open file on one byte, which need not exist. EAGAIN of the call "lock" when
// another open file has a lock that excludes it; then an earlier lock stays. Locks belong to the
// open file, not to the process, and end with its last descriptor and page, also when the process
// is killed. On macOS there is only byte 0.
pages::Failure SetLock(const File& file, uint64_t byte, Lock lock);

// Does another open file have any lock on the byte?
pages::Failure IsLocked(const File& file, uint64_t byte, bool* locked);

// The length of the file, in bytes.
pages::Failure Length(const File& file, uint64_t* bytes);

// Reads bytes from an offset on, as many as there are.
pages::Failure Read(const File& file, void* bytes, size_t length, uint64_t offset, size_t* done);

// Writes bytes at an offset.
pages::Failure Write(const File& file, const void* bytes, size_t length, uint64_t offset);

// Sets the length of the file. What is new is zero, and has no disk space.
pages::Failure Resize(const File& file, uint64_t length);

// Reserves disk space. ENOSPC when the disk is full.
pages::Failure Reserve(const File& file, uint64_t offset, uint64_t length);

// Makes bytes zero and takes their pages out of memory. Their disk space stays reserved if `keep`,
// and is given back else. EOPNOTSUPP when the file system can't.
pages::Failure Clear(const File& file, uint64_t offset, uint64_t length, bool keep);

// Maps the first `length` bytes of the file, and watches them for faults. Of a file that was opened
// for reading the pages are private: what is stored in them is in this process alone.
pages::Failure Map(size_t head, size_t length, const Marks& marks, File* file);

// Writes mapped pages to the disk.
pages::Failure Sync(const File& file, size_t offset, size_t length);

// Asks the disk to write what it holds in its own memory.
pages::Failure Flush(const File& file);

// Replaces the mapped pages by zero pages, as a fault beyond the end does. They stay accessible.
pages::Failure Retire(File* file);

// Sets the marks, too: the file is lost.
pages::Failure Lose(File* file);

// Unmaps the pages, if there are any.
pages::Failure Unmap(File* file);

// Closes the file. The lock ends when its pages are gone as well.
void Close(File* file);

// 128 bits that are the same until the machine starts again.
pages::Failure BootId(int32_t words[4]);

}  // namespace files
