// The JavaScript interface of regions: validates arguments, wraps pages as an ArrayBuffer, and
// manages their lifetime.
//
// fs, crypto, sockets and other addons use a buffer on other threads, which can't be stopped. To
// keep it from being collected, they hold the ArrayBuffer, a view of it, or its backing store. So
// the pages are unmapped when both the ArrayBuffer and its backing store are gone, and not earlier.
// close() replaces the contents and detaches every view: code that still uses the pages reads
// zeros, and its writes are discarded.
//
// A Mapping has three owners: the handle in JavaScript, the ArrayBuffer, and its backing store.
// Collecting the handle unmaps nothing, since the buffer may still be in use.
//
// After buffer.transfer() the pages belong to an ArrayBuffer that this addon does not know, with
// the backing store created here. So close() does nothing to the pages of a detached buffer.

#include <atomic>
#include <cerrno>
#include <new>
#include <string>

#include "face.h"
#include "faults.h"
#include "pages.h"

// files.cc
void InitFiles(Napi::Env env, Napi::Object exports);
// lab.cc
void InitLab(Napi::Env env, Napi::Object exports);
#if !defined(_WIN32)
// sharing_posix.cc
void InitSharing(Napi::Env env, Napi::Object exports);
#endif

namespace {

using face::Bytes;
using face::Flag;
using face::ThrowCode;
using face::ThrowRange;
using face::ThrowSystem;
using face::ThrowType;
using face::WrapLimit;

constexpr napi_type_tag kTag = {0x6f66666865617031, 0x9d1c3b5e27a84f60};

struct Mapping {
  pages::Span span;
  bool locked = false;
  faults::Watch* watch = nullptr;
  // False after close(). A mapping whose buffer was transferred is still open.
  std::atomic<bool> open{true};
  std::atomic<bool> mapped{true};
  // The ArrayBuffer and its backing store, until each is collected.
  std::atomic<int> users{2};
  std::atomic<int> owners{3};

  // Replaces the contents by zero pages. A failure changes nothing.
  pages::Failure Retire() {
    if (const pages::Failure failure = pages::Retire(span)) return failure;
    open.store(false);
    if (watch != nullptr) faults::Retire(watch);
    return {};
  }

  void Unmap() {
    if (!mapped.exchange(false)) return;
    if (watch != nullptr && open.load()) faults::End(watch);
    if (watch != nullptr && !open.load()) faults::EndRetired(watch, span.start);
    pages::Unmap(span);
  }

  // Removes one user.
  void Leave() {
    if (users.fetch_sub(1) == 1) Unmap();
    Drop();
  }

  void Drop() {
    if (owners.fetch_sub(1) == 1) delete this;
  }
};

Mapping* HandleOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  bool ours = false;
  if (info[0].IsObject()) napi_check_object_type_tag(env, info[0], &kTag, &ours);
  void* mapping = nullptr;
  if (!ours || napi_unwrap(env, info[0], &mapping) != napi_ok) {
    ThrowType(env, "handle must come from map()");
  }
  return static_cast<Mapping*>(mapping);
}

// Returns whether argument 1 is the ArrayBuffer over the pages of this mapping. False after close()
// and buffer.transfer().
bool Holds(const Napi::CallbackInfo& info, const Mapping& mapping) {
  const Napi::Env env = info.Env();
  if (!info[1].IsArrayBuffer()) ThrowType(env, "buffer must be the ArrayBuffer from map()");
  bool detached = false;
  napi_is_detached_arraybuffer(env, info[1], &detached);
  if (detached || !mapping.open.load()) return false;
  void* data = nullptr;
  size_t length = 0;
  napi_get_arraybuffer_info(env, info[1], &data, &length);
  if (data != mapping.span.start || length != mapping.span.length) {
    ThrowType(env, "buffer must be the ArrayBuffer from map()");
  }
  return true;
}

// Returns the open mapping of arguments 0 and 1.
Mapping* LiveMapping(const Napi::CallbackInfo& info) {
  Mapping* mapping = HandleOf(info);
  if (!Holds(info, *mapping)) {
    ThrowCode(info.Env(), "ERR_OFFHEAP_CLOSED",
              "the region was closed, or its buffer was transferred");
  }
  return mapping;
}

// Makes sure that faults in this mapping are handled. Must precede the first fault.
void WatchFaults(Napi::Env env, Mapping* mapping) {
  if (const pages::Failure failure = faults::Prepare()) ThrowSystem(env, failure);
  if (mapping->watch != nullptr) return;
  mapping->watch = faults::Begin(mapping->span.start, mapping->span.length);
  if (mapping->watch == nullptr) {
    ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED",
              "at most " + std::to_string(faults::kWatches) +
                  " open regions can have protected pages at the same time; close one first");
  }
}

struct Range {
  char* start;
  size_t length;
};

// Returns arguments 2 and 3 as whole pages inside the mapping.
Range PagesOf(const Napi::CallbackInfo& info, const Mapping& mapping) {
  const size_t offset = Bytes(info, 2, "offset");
  const size_t length = Bytes(info, 3, "length");
  const size_t page = pages::PageSize();
  const bool inside = offset <= mapping.span.length && length <= mapping.span.length - offset;
  if (!inside || offset % page != 0 || length % page != 0) {
    ThrowRange(info.Env(), "offset and length must be whole pages inside the region");
  }
  return {mapping.span.start + offset, length};
}

// These run in a later iteration of the event loop, or while the worker is ending. They must not
// use JavaScript.
void FinalizeStore(napi_env, void*, void* hint) { static_cast<Mapping*>(hint)->Leave(); }

void FinalizeBuffer(napi_env, void* data, void*) { static_cast<Mapping*>(data)->Leave(); }

void FinalizeHandle(napi_env, void* data, void*) { static_cast<Mapping*>(data)->Drop(); }

Napi::Object WrapHandle(Napi::Env env, Mapping* mapping) {
  Napi::Object handle = Napi::Object::New(env);
  napi_status status = napi_wrap(env, handle, mapping, FinalizeHandle, nullptr, nullptr);
  if (status != napi_ok) {
    mapping->Unmap();
    delete mapping;
    ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED", "this build of Node can't wrap native memory");
  }
  napi_type_tag_object(env, handle, &kTag);
  return handle;
}

// Does not use ArrayBuffer::New of node-addon-api, which frees the data twice when this fails.
napi_value WrapPages(Napi::Env env, Mapping* mapping) {
  napi_value buffer = nullptr;
  const pages::Span& span = mapping->span;
  napi_status status = napi_create_external_arraybuffer(env, span.start, span.length, FinalizeStore,
                                                        mapping, &buffer);
  if (status == napi_ok) {
    status = napi_add_finalizer(env, buffer, mapping, FinalizeBuffer, nullptr, nullptr);
    if (status == napi_ok) return buffer;
    napi_detach_arraybuffer(env, buffer);
  }

  mapping->Unmap();
  // There is no ArrayBuffer to be collected. After some failures a backing store is finalized
  // later, after others never. So its ownership is not dropped here, except after the failure for
  // which it is known that the store is never finalized.
  mapping->Drop();
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  napi_value ignored;
  if (pending) napi_get_and_clear_last_exception(env, &ignored);
  if (status == napi_no_external_buffers_allowed) {
    mapping->Drop();
    ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED",
              "this build of Node does not allow an ArrayBuffer over memory outside its own heap "
              "(Electron and other builds with the V8 sandbox don't)");
  }
  ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED",
            "this build of Node refused to wrap the mapped memory as an ArrayBuffer");
}

// map(size, guard, hugePages, populate, lock) → { handle, buffer, address }
Napi::Value Map(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const size_t size = Bytes(info, 0, "size");
  pages::Options options;
  options.guard = Flag(info, 1, "guard");
  options.hugePages = Flag(info, 2, "hugePages");
  options.populate = Flag(info, 3, "populate");
  options.lock = Flag(info, 4, "lock");

  const size_t page = pages::PageSize();
  const size_t length = (size + page - 1) / page * page;
  if (size == 0 || length > WrapLimit(env)) {
    ThrowRange(env, "size must be from 1 to the maximum of this version of Node");
  }

  Mapping* mapping = new (std::nothrow) Mapping();
  if (mapping == nullptr) ThrowSystem(env, {ENOMEM, "malloc"});
  if (const pages::Failure failure = pages::Map(length, options, &mapping->span)) {
    delete mapping;
    ThrowSystem(env, failure);
  }
  mapping->locked = options.lock;
  if (pages::ChargesCommit()) {
    try {
      WatchFaults(env, mapping);
    } catch (...) {
      mapping->Unmap();
      delete mapping;
      throw;
    }
  }
  const pages::Span span = mapping->span;

  Napi::Object handle = WrapHandle(env, mapping);
  Napi::Object result = Napi::Object::New(env);
  result.Set("buffer", Napi::Value(env, WrapPages(env, mapping)));
  result.Set("handle", handle);
  const uintptr_t address = reinterpret_cast<uintptr_t>(span.start);
  result.Set("address", Napi::BigInt::New(env, static_cast<uint64_t>(address)));
  return result;
}

// close(handle, buffer): replaces the contents by zero pages, and detaches every view. Does nothing
// if the buffer was closed or transferred.
Napi::Value Close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Mapping* mapping = HandleOf(info);
  if (!Holds(info, *mapping)) return env.Undefined();
  // The system call comes first: if it fails, the region is unchanged. No JavaScript runs before
  // the views are detached. Detaching succeeds for every buffer that an addon can wrap; if it
  // failed, the views would access pages that are about to be unmapped.
  if (const pages::Failure failure = mapping->Retire()) ThrowSystem(env, failure);
  if (napi_detach_arraybuffer(env, info[1]) != napi_ok) {
    Napi::Error::Fatal("offheap close", "an ArrayBuffer over retired pages can't be detached");
  }
  return env.Undefined();
}

// commit(handle, buffer, offset, length)
Napi::Value Commit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Range range = PagesOf(info, *LiveMapping(info));
  const pages::Failure failure = pages::Commit(range.start, range.length);
  if (failure) ThrowSystem(env, failure);
  return env.Undefined();
}

// decommit(handle, buffer, offset, length)
Napi::Value Decommit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Mapping* mapping = LiveMapping(info);
  const Range range = PagesOf(info, *mapping);
  if (range.length == 0) return env.Undefined();
  const bool restricted = mapping->watch != nullptr;
  const pages::Failure failure =
      pages::Decommit(range.start, range.length, mapping->locked, restricted);
  if (failure) ThrowSystem(env, failure);
  return env.Undefined();
}

// protect(handle, buffer, offset, length, access), where access is 0 none, 1 read, 2 read and write
Napi::Value Protect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Mapping* mapping = LiveMapping(info);
  const Range range = PagesOf(info, *mapping);
  const size_t access = Bytes(info, 4, "access");
  if (access > 2) ThrowRange(env, "access must be 0, 1 or 2");
  if (range.length == 0) return env.Undefined();
  const pages::Access wanted = static_cast<pages::Access>(access);
  if (wanted != pages::Access::readWrite) WatchFaults(env, mapping);
  if (const pages::Failure failure = pages::Protect(range.start, range.length, wanted)) {
    faults::SpendReserve();
    ThrowSystem(env, failure);
  }
  return env.Undefined();
}

// faults(handle, buffer) → number[]
Napi::Value Faults(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Mapping* mapping = LiveMapping(info);
  Napi::Array offsets = Napi::Array::New(env);
  if (mapping->watch == nullptr) return offsets;
  uint32_t index = 0;
  for (const uint64_t offset : faults::Drain(mapping->watch)) {
    offsets.Set(index++, Napi::Number::New(env, static_cast<double>(offset)));
  }
  return offsets;
}

// residentBytes(handle, buffer) → number
Napi::Value ResidentBytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Mapping* mapping = LiveMapping(info);
  uint64_t bytes = 0;
  const pages::Failure failure =
      pages::Resident(mapping->span.start, mapping->span.length, &bytes);
  if (failure) ThrowSystem(env, failure);
  return Napi::Number::New(env, static_cast<double>(bytes));
}

// lockLimit() → number
Napi::Value LockLimit(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), pages::LockLimit());
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("pageSize", Napi::Number::New(env, static_cast<double>(pages::PageSize())));
  exports.Set("chargesCommit", Napi::Boolean::New(env, pages::ChargesCommit()));
  exports.Set("map", Napi::Function::New(env, Map, "map"));
  exports.Set("close", Napi::Function::New(env, Close, "close"));
  exports.Set("commit", Napi::Function::New(env, Commit, "commit"));
  exports.Set("decommit", Napi::Function::New(env, Decommit, "decommit"));
  exports.Set("protect", Napi::Function::New(env, Protect, "protect"));
  exports.Set("faults", Napi::Function::New(env, Faults, "faults"));
  exports.Set("residentBytes", Napi::Function::New(env, ResidentBytes, "residentBytes"));
  exports.Set("lockLimit", Napi::Function::New(env, LockLimit, "lockLimit"));
  InitFiles(env, exports);
  InitLab(env, exports);
#if !defined(_WIN32)
  InitSharing(env, exports);
#endif
  return exports;
}

}  // namespace

NODE_API_MODULE(offheap, Init)
