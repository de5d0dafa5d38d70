// The JavaScript interface of heap files: validates arguments, wraps the pages of a file as two
// ArrayBuffers, head and body, and manages their lifetime.
//
// An Opened has several users: the handle in JavaScript, and for each buffer the ArrayBuffer and
// its backing store, which a system call on another thread may keep longer. close() replaces the
// pages by zero pages, closes the file and detaches the buffers. The last user unmaps the pages.
//
// A file that several processes share has lives in its head (lib/sharing/control.ts), and a byte to
// lock for each. A thread that claims a life locks its byte first, and keeps the lock until it
// closes the file. So a life whose byte is not locked belongs to a process that was killed.
#include "files.h"

#include <cerrno>
#include <new>

#include "face.h"

namespace {

using face::Bytes;
using face::Flag;
using face::ThrowCode;
using face::ThrowRange;
using face::ThrowSystem;
using face::ThrowType;
using face::WrapLimit;

constexpr napi_type_tag kTag = {0x6f66666865617031, 0x51e7f11e5b0a3c2d};

struct Opened {
  files::File file;
  bool closed = false;
  std::atomic<int> users{1};
  // The life of this thread, and its value while the thread is alive.
  std::atomic<int32_t>* life = nullptr;
  int32_t living = 0;
  // Whether the cleanup hook of the environment is one of the users.
  std::atomic<bool> hooked{false};

  // The exchange has release order: others see all stores of this thread before its life ends.
  void EndLife() {
    if (life == nullptr) return;
    int32_t expected = living;
    life->compare_exchange_strong(expected, (living + 1) & 0x7fffff);
    life = nullptr;
  }

  void LetGo() {
    EndLife();
    files::Unmap(&file);
    files::Close(&file);
  }

  void Drop() {
    const int left = users.fetch_sub(1) - 1;
    if (left == (hooked ? 1 : 0)) LetGo();
    if (left == 0) delete this;
  }
};

// Node calls this after the last request of the thread has completed.
void OnEnvironmentEnd(void* data) {
  Opened* opened = static_cast<Opened*>(data);
  opened->hooked = false;
  opened->EndLife();
  opened->Drop();
}

void FinalizeHandle(napi_env, void* data, void*) { static_cast<Opened*>(data)->Drop(); }

void FinalizeBuffer(napi_env, void*, void* hint) { static_cast<Opened*>(hint)->Drop(); }

Opened* HandleOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  bool ours = false;
  if (info[0].IsObject()) napi_check_object_type_tag(env, info[0], &kTag, &ours);
  void* opened = nullptr;
  if (!ours || napi_unwrap(env, info[0], &opened) != napi_ok) {
    ThrowType(env, "handle must come from openFile()");
  }
  return static_cast<Opened*>(opened);
}

// Returns the open file of argument 0.
Opened* LiveFile(const Napi::CallbackInfo& info) {
  Opened* opened = HandleOf(info);
  if (opened->closed) ThrowCode(info.Env(), "ERR_OFFHEAP_CLOSED", "the file was closed");
  return opened;
}

// Returns the open and mapped file of argument 0.
Opened* MappedFile(const Napi::CallbackInfo& info) {
  Opened* opened = LiveFile(info);
  if (opened->file.start == nullptr) {
    ThrowCode(info.Env(), "ERR_OFFHEAP_CLOSED", "the file is not mapped");
  }
  return opened;
}

void Must(Napi::Env env, const pages::Failure& failure) {
  if (failure) ThrowSystem(env, failure);
}

// openFile(path, write, create, own) → handle
Napi::Value OpenFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) ThrowType(env, "path must be a string");
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  const bool write = Flag(info, 1, "write");
  const bool create = Flag(info, 2, "create");
  const bool own = Flag(info, 3, "own");
  Opened* opened = new (std::nothrow) Opened();
  if (opened == nullptr) ThrowSystem(env, {ENOMEM, "malloc"});
  if (const pages::Failure failure = files::Open(path.c_str(), write, create, own, &opened->file)) {
    delete opened;
    ThrowSystem(env, failure);
  }
  Napi::Object handle = Napi::Object::New(env);
  if (napi_wrap(env, handle, opened, FinalizeHandle, nullptr, nullptr) != napi_ok) {
    opened->Drop();
    ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED", "this build of Node can't wrap native memory");
  }
  napi_type_tag_object(env, handle, &kTag);
  return handle;
}

// Sets a lock. Returns false when the lock of another open file excludes that.
bool TryLock(Napi::Env env, const files::File& file, uint64_t byte, files::Lock lock) {
  const pages::Failure failure = files::SetLock(file, byte, lock);
  if (failure && failure.error == EAGAIN) return false;
  Must(env, failure);
  return true;
}

// lockFile(handle, byte, lock) → false when the lock of another open file excludes that. `lock` is
// 0 for none, 1 for shared, 2 for exclusive.
Napi::Value LockFile(const Napi::CallbackInfo& info) {
  const Opened* opened = LiveFile(info);
  const size_t byte = Bytes(info, 1, "byte");
  const size_t lock = Bytes(info, 2, "lock");
  if (lock > 2) ThrowRange(info.Env(), "lock must be from 0 to 2");
  const files::Lock kinds[] = {files::Lock::none, files::Lock::shared, files::Lock::exclusive};
  return Napi::Boolean::New(info.Env(), TryLock(info.Env(), opened->file, byte, kinds[lock]));
}

// isFileLocked(handle, byte) → boolean: by another open file
Napi::Value IsFileLocked(const Napi::CallbackInfo& info) {
  bool locked = false;
  Must(info.Env(), files::IsLocked(LiveFile(info)->file, Bytes(info, 1, "byte"), &locked));
  return Napi::Boolean::New(info.Env(), locked);
}

// claimFile(handle, offset, count, byte) → the token of this thread; 0 when all lives are taken.
// The lives are `count` words from byte `offset` of the head on. Their bytes to lock begin at
// `byte`. A single call claims the life and registers its end, so that no life can outlive its
// thread.
Napi::Value ClaimFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Opened* opened = MappedFile(info);
  const size_t offset = Bytes(info, 1, "offset");
  const size_t count = Bytes(info, 2, "count");
  const size_t byte = Bytes(info, 3, "byte");
  if (opened->life != nullptr || offset % 4 != 0 || count > 256 ||
      offset + 4 * count > opened->file.head) {
    ThrowRange(env, "lives must be words of the head, and a thread can claim only one");
  }
  for (size_t index = 0; index < count; index++) {
    if (!TryLock(env, opened->file, byte + index, files::Lock::exclusive)) continue;
    opened->users.fetch_add(1);
    opened->hooked = true;
    if (napi_add_env_cleanup_hook(env, OnEnvironmentEnd, opened) != napi_ok) {
      opened->hooked = false;
      opened->users.fetch_sub(1);
      ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED", "this environment of Node is ending");
    }
    auto* life = reinterpret_cast<std::atomic<int32_t>*>(opened->file.start + offset + 4 * index);
    int32_t value = life->load();
    int32_t next;
    // An odd life belongs to a killed process, because this thread holds the lock of its byte.
    do {
      next = static_cast<int32_t>((static_cast<uint32_t>(value) + 1) | 1) & 0x7fffff;
    } while (!life->compare_exchange_weak(value, next));
    opened->life = life;
    opened->living = next;
    return Napi::Number::New(env, static_cast<double>((next << 8) | static_cast<int32_t>(index)));
  }
  return Napi::Number::New(env, 0);
}

static_assert(sizeof(std::atomic<int32_t>) == 4 && std::atomic<int32_t>::is_always_lock_free,
              "a life is a word that other processes access too");

// fileLength(handle) → number
Napi::Value FileLength(const Napi::CallbackInfo& info) {
  uint64_t bytes = 0;
  Must(info.Env(), files::Length(LiveFile(info)->file, &bytes));
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

Napi::Uint8Array ArrayOf(const Napi::CallbackInfo& info) {
  if (!info[1].IsTypedArray() ||
      info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    ThrowType(info.Env(), "bytes must be a Uint8Array");
  }
  return info[1].As<Napi::Uint8Array>();
}

// readFile(handle, bytes, offset) → number of bytes read
Napi::Value ReadFile(const Napi::CallbackInfo& info) {
  Opened* opened = LiveFile(info);
  Napi::Uint8Array bytes = ArrayOf(info);
  const size_t offset = Bytes(info, 2, "offset");
  size_t done = 0;
  Must(info.Env(), files::Read(opened->file, bytes.Data(), bytes.ByteLength(), offset, &done));
  return Napi::Number::New(info.Env(), static_cast<double>(done));
}

// writeFile(handle, bytes, offset)
Napi::Value WriteFile(const Napi::CallbackInfo& info) {
  Opened* opened = LiveFile(info);
  const Napi::Uint8Array bytes = ArrayOf(info);
  const size_t offset = Bytes(info, 2, "offset");
  Must(info.Env(), files::Write(opened->file, bytes.Data(), bytes.ByteLength(), offset));
  return info.Env().Undefined();
}

// resizeFile(handle, length)
Napi::Value ResizeFile(const Napi::CallbackInfo& info) {
  Opened* opened = LiveFile(info);
  Must(info.Env(), files::Resize(opened->file, Bytes(info, 1, "length")));
  return info.Env().Undefined();
}

// reserveFile(handle, offset, length)
Napi::Value ReserveFile(const Napi::CallbackInfo& info) {
  Opened* opened = LiveFile(info);
  const size_t offset = Bytes(info, 1, "offset");
  const size_t length = Bytes(info, 2, "length");
  if (length > 0) Must(info.Env(), files::Reserve(opened->file, offset, length));
  return info.Env().Undefined();
}

// clearFile(handle, offset, length, keep)
Napi::Value ClearFile(const Napi::CallbackInfo& info) {
  Opened* opened = LiveFile(info);
  const size_t offset = Bytes(info, 1, "offset");
  const size_t length = Bytes(info, 2, "length");
  const bool keep = Flag(info, 3, "keep");
  if (length > 0) Must(info.Env(), files::Clear(opened->file, offset, length, keep));
  return info.Env().Undefined();
}

Napi::Value WrapBytes(Napi::Env env, Opened* opened, char* start, size_t length) {
  opened->users.fetch_add(2);
  napi_value buffer = nullptr;
  const napi_status status =
      napi_create_external_arraybuffer(env, start, length, FinalizeBuffer, opened, &buffer);
  if (status != napi_ok) {
    // After some failures the finalizer runs later, after others never. So the backing store stays
    // a user, except after the failure for which it is known that the finalizer never runs.
    opened->users.fetch_sub(status == napi_no_external_buffers_allowed ? 2 : 1);
    napi_value ignored;
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (pending) napi_get_and_clear_last_exception(env, &ignored);
    ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED",
              "this build of Node does not allow an ArrayBuffer over memory outside its own heap");
  }
  if (napi_add_finalizer(env, buffer, nullptr, FinalizeBuffer, opened, nullptr) != napi_ok) {
    opened->users.fetch_sub(1);
  }
  return Napi::Value(env, buffer);
}

// Returns whether all marks are words of a body of that size.
bool AreInside(const files::Marks& marks, size_t body) {
  if (marks.count == 0) return true;
  if (marks.offset % 4 != 0 || marks.stride % 4 != 0) return false;
  const double span = static_cast<double>(marks.stride) * (marks.count - 1);
  return static_cast<double>(marks.offset) + span + 4 <= static_cast<double>(body);
}

// mapFile(handle, headBytes, bodyBytes, markOffset, markStride, markCount, markValue)
//   → { head, body }
Napi::Value MapFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Opened* opened = LiveFile(info);
  const size_t head = Bytes(info, 1, "headBytes");
  const size_t body = Bytes(info, 2, "bodyBytes");
  files::Marks marks;
  marks.offset = Bytes(info, 3, "markOffset");
  marks.stride = Bytes(info, 4, "markStride");
  marks.count = Bytes(info, 5, "markCount");
  marks.value = static_cast<int32_t>(Bytes(info, 6, "markValue"));
  const size_t page = pages::PageSize();
  if (opened->file.start != nullptr) ThrowRange(env, "the file is mapped already");
  if (head == 0 || body == 0 || head % page != 0 || body % page != 0 || body > WrapLimit(env)) {
    ThrowRange(env, "headBytes and bodyBytes must be whole pages within the maximum of this Node");
  }
  if (!AreInside(marks, body)) ThrowRange(env, "the marks must be words of the body");
  Must(env, files::Map(head, head + body, marks, &opened->file));
  Napi::Object result = Napi::Object::New(env);
  result.Set("head", WrapBytes(env, opened, opened->file.start, head));
  result.Set("body", WrapBytes(env, opened, opened->file.start + head, body));
  return result;
}

// syncFile(handle, offset, length): writes mapped pages to the disk
Napi::Value SyncFile(const Napi::CallbackInfo& info) {
  Opened* opened = MappedFile(info);
  const size_t offset = Bytes(info, 1, "offset");
  const size_t length = Bytes(info, 2, "length");
  const size_t mapped = opened->file.length;
  if (offset % pages::PageSize() != 0 || offset > mapped || length > mapped - offset) {
    ThrowRange(info.Env(), "offset and length must be mapped pages");
  }
  Must(info.Env(), files::Sync(opened->file, offset, length));
  return info.Env().Undefined();
}

// flushFile(handle)
Napi::Value FlushFile(const Napi::CallbackInfo& info) {
  Must(info.Env(), files::Flush(LiveFile(info)->file));
  return info.Env().Undefined();
}

// loseFile(handle)
Napi::Value LoseFile(const Napi::CallbackInfo& info) {
  Must(info.Env(), files::Lose(&MappedFile(info)->file));
  return info.Env().Undefined();
}

// residentFileBytes(handle) → number of resident bytes of the body
Napi::Value ResidentFileBytes(const Napi::CallbackInfo& info) {
  Opened* opened = MappedFile(info);
  const files::File& file = opened->file;
  uint64_t bytes = 0;
  Must(info.Env(), pages::Resident(file.start + file.head, file.length - file.head, &bytes));
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

// Detaches a buffer of this file. A buffer that was transferred is detached already.
void Detach(Napi::Env env, const Napi::Value& value, const char* start) {
  if (!value.IsArrayBuffer()) return;
  void* data = nullptr;
  size_t length = 0;
  napi_get_arraybuffer_info(env, value, &data, &length);
  if (data == start && length > 0) napi_detach_arraybuffer(env, value);
}

// closeFile(handle, head, body): writes nothing. The buffers may be omitted before mapFile.
Napi::Value CloseFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Opened* opened = HandleOf(info);
  if (opened->closed) return env.Undefined();
  opened->EndLife();
  if (opened->file.start != nullptr) {
    Must(env, files::Retire(&opened->file));
    Detach(env, info[1], opened->file.start);
    Detach(env, info[2], opened->file.start + opened->file.head);
  }
  opened->closed = true;
  files::Close(&opened->file);
  if (opened->hooked.exchange(false)) {
    napi_remove_env_cleanup_hook(env, OnEnvironmentEnd, opened);
    opened->Drop();
  }
  return env.Undefined();
}

// bootId() → Int32Array
Napi::Value BootId(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int32_t words[4] = {};
  Must(env, files::BootId(words));
  Napi::Int32Array id = Napi::Int32Array::New(env, 4);
  for (size_t index = 0; index < 4; index++) id[index] = words[index];
  return id;
}

}  // namespace

void InitFiles(Napi::Env env, Napi::Object exports) {
  exports.Set("openFile", Napi::Function::New(env, OpenFile, "openFile"));
  exports.Set("lockFile", Napi::Function::New(env, LockFile, "lockFile"));
  exports.Set("claimFile", Napi::Function::New(env, ClaimFile, "claimFile"));
  exports.Set("isFileLocked", Napi::Function::New(env, IsFileLocked, "isFileLocked"));
  exports.Set("fileLength", Napi::Function::New(env, FileLength, "fileLength"));
  exports.Set("readFile", Napi::Function::New(env, ReadFile, "readFile"));
  exports.Set("writeFile", Napi::Function::New(env, WriteFile, "writeFile"));
  exports.Set("resizeFile", Napi::Function::New(env, ResizeFile, "resizeFile"));
  exports.Set("reserveFile", Napi::Function::New(env, ReserveFile, "reserveFile"));
  exports.Set("clearFile", Napi::Function::New(env, ClearFile, "clearFile"));
  exports.Set("mapFile", Napi::Function::New(env, MapFile, "mapFile"));
  exports.Set("syncFile", Napi::Function::New(env, SyncFile, "syncFile"));
  exports.Set("flushFile", Napi::Function::New(env, FlushFile, "flushFile"));
  exports.Set("loseFile", Napi::Function::New(env, LoseFile, "loseFile"));
  exports.Set("residentFileBytes",
              Napi::Function::New(env, ResidentFileBytes, "residentFileBytes"));
  exports.Set("closeFile", Napi::Function::New(env, CloseFile, "closeFile"));
  exports.Set("bootId", Napi::Function::New(env, BootId, "bootId"));
}
