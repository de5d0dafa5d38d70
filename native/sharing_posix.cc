// Memory that several threads of the process share. Each thread wraps the same pages as its own
// ArrayBuffers: one over the head, which only the library accesses, and one over the body. Closing
// it in one thread detaches the buffers of that thread only. When the last thread closes it, the
// contents are released at once. The addresses stay reserved until all ArrayBuffers are collected,
// because asynchronous operations may still use them (fs.read, zlib, crypto).
//
// A mapping is identified by its id: 32 random characters. A message to another thread contains the
// id only, never an address, and the id is compared with those of this process.
//
// An Attachment is the use of a mapping by one thread. It ends when the thread closes it, when its
// buffers are collected, or when the environment of the thread ends, however it ends. If the thread
// has claimed a life (lib/sharing/control.ts), that life ends with the attachment.
#include "face.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "barrier.h"

namespace {

using face::Bytes;
using face::Flag;
using face::ThrowCode;
using face::ThrowRange;
using face::ThrowSystem;
using face::ThrowType;

constexpr napi_type_tag kTag = {0x6f66666865617032, 0x51b7a2c98e03d46f};
constexpr size_t kIdLength = 32;

struct Mapping {
  pages::Span span;
  size_t head = 0;
  bool locked = false;
  char id[kIdLength] = {};
  // The number of open attachments, and of those with a buffer that is not collected. Guarded by
  // the lock of the registry.
  int users = 0;
  int holders = 0;
  Mapping* next = nullptr;
};

// The mappings of the process. The lock is held for a few instructions only.
std::atomic_flag registryLock = ATOMIC_FLAG_INIT;
Mapping* registry = nullptr;

class Registry {
 public:
  Registry() {
    while (registryLock.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Registry() { registryLock.clear(std::memory_order_release); }
  Registry(const Registry&) = delete;

  void Add(Mapping* mapping) {
    mapping->next = registry;
    registry = mapping;
  }

  Mapping* Find(const char* id) const {
    for (Mapping* mapping = registry; mapping != nullptr; mapping = mapping->next) {
      if (std::memcmp(mapping->id, id, kIdLength) == 0) return mapping;
    }
    return nullptr;
  }

  void Remove(Mapping* mapping) {
    Mapping** link = &registry;
    while (*link != mapping) link = &(*link)->next;
    *link = mapping->next;
  }
};

// Removes one user. The last one releases the contents. A failure of that is ignored: the pages
// then keep their contents until they are unmapped.
void Unuse(Mapping* mapping) {
  Registry mappings;
  if (--mapping->users > 0) return;
  mappings.Remove(mapping);
  pages::Retire(mapping->span);
}

// Removes one holder. The last one unmaps the pages; no user is left by then.
void Unhold(Mapping* mapping) {
  {
    Registry mappings;
    if (--mapping->holders > 0) return;
  }
  pages::Unmap(mapping->span);
  delete mapping;
}

struct Attachment {
  Mapping* mapping;
  // The life of the thread, and its value while the thread is alive.
  std::atomic<int32_t>* life = nullptr;
  int32_t living = 0;
  bool open = true;
  bool holds = true;
  // The owners of this object: the object in JavaScript, the cleanup hook, two buffers and their
  // backing stores. All belong to one thread.
  int owners = 6;
  int buffers = 4;

  // The exchange has release order: others see all stores of this thread before its life ends.
  void End() {
    if (!open) return;
    open = false;
    if (life != nullptr) {
      int32_t expected = living;
      life->compare_exchange_strong(expected, (living + 1) & 0x7fffff);
    }
    Unuse(mapping);
  }

  // Called when no buffer of this attachment is in use any more.
  void LetGo() {
    End();
    if (!holds) return;
    holds = false;
    Unhold(mapping);
  }

  void Drop() {
    if (--owners == 0) delete this;
  }
};

// Node calls this after the last request of the thread has completed.
void OnEnvironmentEnd(void* data) {
  Attachment* attachment = static_cast<Attachment*>(data);
  attachment->LetGo();
  attachment->Drop();
}

// Node calls this after a buffer or a backing store was collected: in a later iteration of the
// event loop, or while the environment ends. A body that was transferred keeps its backing store,
// and so the pages.
void FinalizeBuffer(napi_env, void*, void* hint) {
  Attachment* attachment = static_cast<Attachment*>(hint);
  if (--attachment->buffers == 0) attachment->LetGo();
  attachment->Drop();
}

void FinalizeObject(napi_env, void* data, void*) { static_cast<Attachment*>(data)->Drop(); }

// Returns argument 0 as an id.
std::string IdOf(const Napi::CallbackInfo& info) {
  std::string id = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
  if (id.size() != kIdLength) {
    ThrowCode(info.Env(), "ERR_INVALID_ARG_VALUE", "an id must have 32 characters");
  }
  return id;
}

Attachment* AttachmentOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  bool ours = false;
  if (info[0].IsObject()) napi_check_object_type_tag(env, info[0], &kTag, &ours);
  void* data = nullptr;
  if (!ours || napi_unwrap(env, info[0], &data) != napi_ok) {
    ThrowType(env, "the handle must come from shareMap() or shareAttach()");
  }
  return static_cast<Attachment*>(data);
}

// Returns the open attachment of argument 0.
Attachment* OpenAttachment(const Napi::CallbackInfo& info) {
  Attachment* attachment = AttachmentOf(info);
  if (!attachment->open) {
    ThrowCode(info.Env(), "ERR_OFFHEAP_CLOSED", "the shared memory was closed");
  }
  return attachment;
}

napi_value Wrap(Napi::Env env, Attachment* attachment, char* start, size_t length) {
  napi_value buffer = nullptr;
  napi_status status =
      napi_create_external_arraybuffer(env, start, length, FinalizeBuffer, attachment, &buffer);
  if (status == napi_ok) {
    status = napi_add_finalizer(env, buffer, nullptr, FinalizeBuffer, attachment, nullptr);
  }
  if (status == napi_ok) return buffer;
  // The finalizer may still run, so its ownership is not dropped here.
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  napi_value ignored;
  if (pending) napi_get_and_clear_last_exception(env, &ignored);
  attachment->End();
  ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED",
        "this build of Node does not allow an ArrayBuffer over memory outside its own heap "
        "(Electron and other builds with the V8 sandbox don't)");
}

// Attaches this thread to a mapping that already counts it as a user and a holder.
Napi::Value Attach(Napi::Env env, Mapping* mapping) {
  Attachment* attachment = new (std::nothrow) Attachment{mapping};
  if (attachment == nullptr) {
    Unuse(mapping);
    Unhold(mapping);
    ThrowSystem(env, {ENOMEM, "malloc"});
  }
  if (napi_add_env_cleanup_hook(env, OnEnvironmentEnd, attachment) != napi_ok) {
    attachment->LetGo();
    delete attachment;
    ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED", "this environment of Node is ending");
  }
  Napi::Object object = Napi::Object::New(env);
  if (napi_wrap(env, object, attachment, FinalizeObject, nullptr, nullptr) != napi_ok) {
    attachment->End();
    ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED", "this build of Node can't wrap native memory");
  }
  napi_type_tag_object(env, object, &kTag);
  const pages::Span& span = mapping->span;
  Napi::Object result = Napi::Object::New(env);
  const size_t head = mapping->head;
  result.Set("head", Napi::Value(env, Wrap(env, attachment, span.start, head)));
  const napi_value body = Wrap(env, attachment, span.start + head, span.length - head);
  result.Set("buffer", Napi::Value(env, body));
  result.Set("handle", object);
  return result;
}

// shareMap(id, headBytes, bodyBytes, guard, hugePages, populate, lock) → { handle, head, buffer }
Napi::Value Map(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string id = IdOf(info);
  const size_t head = Bytes(info, 1, "headBytes");
  const size_t body = Bytes(info, 2, "bodyBytes");
  const size_t page = pages::PageSize();
  if (head == 0 || body == 0 || head % page != 0 || body % page != 0) {
    ThrowRange(env, "head and body must be whole pages");
  }
  pages::Options options;
  options.guard = Flag(info, 3, "guard");
  options.hugePages = Flag(info, 4, "hugePages");
  options.populate = Flag(info, 5, "populate");
  options.lock = Flag(info, 6, "lock");
  Mapping* mapping = new (std::nothrow) Mapping();
  if (mapping == nullptr) ThrowSystem(env, {ENOMEM, "malloc"});
  if (const pages::Failure failure = pages::Map(head + body, options, &mapping->span)) {
    delete mapping;
    ThrowSystem(env, failure);
  }
  mapping->head = head;
  mapping->locked = options.lock;
  mapping->users = 1;
  mapping->holders = 1;
  std::memcpy(mapping->id, id.data(), kIdLength);
  {
    Registry mappings;
    mappings.Add(mapping);
  }
  return Attach(env, mapping);
}

// shareAttach(id) → { handle, head, buffer }; undefined if the process has no such mapping
Napi::Value AttachById(const Napi::CallbackInfo& info) {
  const std::string id = IdOf(info);
  Mapping* mapping;
  {
    Registry mappings;
    mapping = mappings.Find(id.data());
    if (mapping != nullptr) {
      mapping->users++;
      mapping->holders++;
    }
  }
  return mapping == nullptr ? info.Env().Undefined() : Attach(info.Env(), mapping);
}

// shareClose(handle, head, buffer): detaches the buffers of this thread. A second call does
// nothing.
Napi::Value Close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Attachment* attachment = AttachmentOf(info);
  if (!attachment->open) return env.Undefined();
  for (size_t index = 1; index <= 2; index++) {
    void* data = nullptr;
    size_t length = 0;
    bool detached = false;
    if (!info[index].IsArrayBuffer()) ThrowType(env, "head and buffer must be ArrayBuffers");
    napi_is_detached_arraybuffer(env, info[index], &detached);
    // The buffer was transferred: the memory belongs to the new buffer.
    if (detached) return env.Undefined();
    napi_get_arraybuffer_info(env, info[index], &data, &length);
    const Mapping& mapping = *attachment->mapping;
    const char* start = mapping.span.start + (index == 1 ? 0 : mapping.head);
    if (data != start) ThrowType(env, "head and buffer must be those of this handle");
  }
  if (napi_detach_arraybuffer(env, info[1]) != napi_ok ||
      napi_detach_arraybuffer(env, info[2]) != napi_ok) {
    Napi::Error::Fatal("offheap close", "an ArrayBuffer over unmapped pages can't be detached");
  }
  attachment->End();
  return env.Undefined();
}

// shareClaim(handle, offset, count) → the token of this thread; 0 when all lives are taken. The
// lives are `count` words from byte `offset` of the head on. A single call claims the life and
// registers its end, so that no life can outlive its thread.
Napi::Value Claim(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Attachment* attachment = OpenAttachment(info);
  const size_t offset = Bytes(info, 1, "offset");
  const size_t count = Bytes(info, 2, "count");
  const Mapping& mapping = *attachment->mapping;
  if (attachment->life != nullptr || offset % 4 != 0 || count > 256 ||
      offset + 4 * count > mapping.head) {
    ThrowRange(env, "lives must be words of the head, and a thread can claim only one");
  }
  for (size_t index = 0; index < count; index++) {
    char* const word = mapping.span.start + offset + 4 * index;
    auto* life = reinterpret_cast<std::atomic<int32_t>*>(word);
    int32_t value = life->load();
    if (value < 0 || value > 0x7fffff || value % 2 != 0) continue;
    if (!life->compare_exchange_strong(value, value + 1)) continue;
    attachment->life = life;
    attachment->living = value + 1;
    const int32_t token = ((value + 1) << 8) | static_cast<int32_t>(index);
    return Napi::Number::New(env, static_cast<double>(token));
  }
  return Napi::Number::New(env, 0);
}

static_assert(sizeof(std::atomic<int32_t>) == 4 && std::atomic<int32_t>::is_always_lock_free,
              "a life is a word that JavaScript accesses too");

// shareDecommit(handle, offset, length): returns whole pages of the body to the system
Napi::Value Decommit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Mapping& mapping = *OpenAttachment(info)->mapping;
  const size_t offset = Bytes(info, 1, "offset");
  const size_t length = Bytes(info, 2, "length");
  const size_t body = mapping.span.length - mapping.head;
  const size_t page = pages::PageSize();
  if (offset > body || length > body - offset || offset % page != 0 || length % page != 0) {
    ThrowRange(env, "offset and length must be whole pages inside the body");
  }
  if (length == 0) return env.Undefined();
  char* start = mapping.span.start + mapping.head + offset;
  const pages::Failure failure = pages::Decommit(start, length, mapping.locked, false);
  if (failure) ThrowSystem(env, failure);
  return env.Undefined();
}

// shareResidentBytes(handle) → number
Napi::Value ResidentBytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Mapping& mapping = *OpenAttachment(info)->mapping;
  uint64_t bytes = 0;
  const pages::Failure failure = pages::Resident(mapping.span.start, mapping.span.length, &bytes);
  if (failure) ThrowSystem(env, failure);
  return Napi::Number::New(env, static_cast<double>(bytes));
}

// barrier(across) → false if this system has no such barrier
Napi::Value Barrier(const Napi::CallbackInfo& info) {
  const bool across = Flag(info, 0, "across");
  const barrier::Reach reach = across ? barrier::Reach::across : barrier::Reach::process;
  const bool available = barrier::Available(reach);
  if (available) barrier::Everywhere(reach);
  return Napi::Boolean::New(info.Env(), available);
}

// sleep(microseconds)
Napi::Value Sleep(const Napi::CallbackInfo& info) {
  const size_t microseconds = Bytes(info, 0, "microseconds");
  // A thread that is terminated meanwhile ends only after the sleep, so limit it.
  barrier::Sleep(microseconds < 10000 ? static_cast<uint32_t>(microseconds) : 10000);
  return info.Env().Undefined();
}

}  // namespace

void InitSharing(Napi::Env env, Napi::Object exports) {
  exports.Set("shareMap", Napi::Function::New(env, Map, "shareMap"));
  exports.Set("shareAttach", Napi::Function::New(env, AttachById, "shareAttach"));
  exports.Set("shareClose", Napi::Function::New(env, Close, "shareClose"));
  exports.Set("shareClaim", Napi::Function::New(env, Claim, "shareClaim"));
  exports.Set("shareDecommit", Napi::Function::New(env, Decommit, "shareDecommit"));
  exports.Set("shareResidentBytes", Napi::Function::New(env, ResidentBytes, "shareResidentBytes"));
  exports.Set("barrier", Napi::Function::New(env, Barrier, "barrier"));
  exports.Set("sleep", Napi::Function::New(env, Sleep, "sleep"));
}
