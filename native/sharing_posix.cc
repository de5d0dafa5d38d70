// Memory that several threads of the process share. Each thread wraps the same pages as
// ArrayBuffers of its own: one over the head, which only the library sees, and one over the body.
// So closing it in one thread, which detaches the buffers of that thread, leaves the others alone.
// When the last one has closed it, the contents are gone at once; the addresses stay until no
// ArrayBuffer is left that other threads of Node could be working on (fs.read, zlib, crypto).
//
// A mapping is found by its id, 32 characters that its maker drew at random. What arrives in a
// message is compared with the ids of this process, and nothing else: no address ever travels.
//
// An attachment is what one thread has of a mapping. It ends when the thread closes it, when its
// buffers are collected, or when the thread's environment ends, in whatever way. Then, if the
// thread has claimed a life (lib/sharing/control.ts), that word says from now on that the thread is
// gone.
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
  // Attachments that are open, and those that have a buffer which is not collected. Guarded by the
  // registry.
  int users = 0;
  int holders = 0;
  Mapping* next = nullptr;
};

// The mappings of the process. Its lock is held for a few instructions at a time.
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
    Mapping* mapping = registry;
    while (mapping != nullptr && std::memcmp(mapping->id, id, kIdLength) != 0) mapping = mapping->next;
    return mapping;
  }

  void Remove(Mapping* mapping) {
    Mapping** link = &registry;
    while (*link != mapping) link = &(*link)->next;
    *link = mapping->next;
  }
};

// One user less. The last one takes the contents away; nobody could do anything about a failure.
void Unuse(Mapping* mapping) {
  Registry mappings;
  if (--mapping->users > 0) return;
  mappings.Remove(mapping);
  pages::Retire(mapping->span);
}

// One holder less. All users are gone when the last one is.
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
  // The word that says whether the thread lives, and what it holds meanwhile.
  std::atomic<int32_t>* life = nullptr;
  int32_t living = 0;
  bool open = true;
  bool holds = true;
  // Those of the record: the object in JavaScript, the hook, two buffers and their backing stores.
  // All are of one thread.
  int owners = 6;
  int buffers = 4;

  // Other threads see the life end after all that this thread has stored: the store has release
  // order.
  void End() {
    if (!open) return;
    open = false;
    if (life != nullptr) {
      int32_t expected = living;
      life->compare_exchange_strong(expected, (living + 1) & 0x7fffff);
    }
    Unuse(mapping);
  }

  // From now on no buffer of this attachment is in use.
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

// Node calls this when the thread has no request under way any more.
void OnEnvironmentEnd(void* data) {
  Attachment* attachment = static_cast<Attachment*>(data);
  attachment->LetGo();
  attachment->Drop();
}

// A buffer or a backing store was collected: Node calls this on a later turn of the event loop, or
// while the environment ends. A body that was transferred elsewhere keeps its backing store, and so
// the pages.
void FinalizeBuffer(napi_env, void*, void* hint) {
  Attachment* attachment = static_cast<Attachment*>(hint);
  if (--attachment->buffers == 0) attachment->LetGo();
  attachment->Drop();
}

void FinalizeObject(napi_env, void* data, void*) { static_cast<Attachment*>(data)->Drop(); }

// Argument 0 as an id.
std::string IdOf(const Napi::CallbackInfo& info) {
  std::string id = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
  if (id.size() != kIdLength) ThrowCode(info.Env(), "ERR_INVALID_ARG_VALUE", "an id has 32 characters");
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

// The attachment of argument 0, whose mapping is there.
Attachment* OpenAttachment(const Napi::CallbackInfo& info) {
  Attachment* attachment = AttachmentOf(info);
  if (!attachment->open) ThrowCode(info.Env(), "ERR_OFFHEAP_CLOSED", "the shared memory was closed");
  return attachment;
}

napi_value Wrap(Napi::Env env, Attachment* attachment, char* start, size_t length) {
  napi_value buffer = nullptr;
  napi_status status = napi_create_external_arraybuffer(env, start, length, FinalizeBuffer, attachment, &buffer);
  if (status == napi_ok) status = napi_add_finalizer(env, buffer, nullptr, FinalizeBuffer, attachment, nullptr);
  if (status == napi_ok) return buffer;
  // Whether the finalizer will run is not known, so its share is never dropped here.
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  napi_value ignored;
  if (pending) napi_get_and_clear_last_exception(env, &ignored);
  attachment->End();
  ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED",
        "this build of Node does not allow an ArrayBuffer over memory outside its own heap "
        "(Electron and other builds with the V8 sandbox don't)");
}

// What JavaScript gets of a mapping that counts this thread among its users already.
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
  result.Set("head", Napi::Value(env, Wrap(env, attachment, span.start, mapping->head)));
  result.Set("buffer", Napi::Value(env, Wrap(env, attachment, span.start + mapping->head, span.length - mapping->head)));
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

// shareAttach(id) → { handle, head, buffer }, or undefined when the process has no such mapping
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
    // Transferred elsewhere: the memory lives as long as the new buffer.
    if (detached) return env.Undefined();
    napi_get_arraybuffer_info(env, info[index], &data, &length);
    const char* start = attachment->mapping->span.start + (index == 1 ? 0 : attachment->mapping->head);
    if (data != start) ThrowType(env, "head and buffer must be those of this handle");
  }
  if (napi_detach_arraybuffer(env, info[1]) != napi_ok || napi_detach_arraybuffer(env, info[2]) != napi_ok) {
    Napi::Error::Fatal("offheap close", "an ArrayBuffer over unmapped pages can't be detached");
  }
  attachment->End();
  return env.Undefined();
}

// shareClaim(handle, offset, count) → the token of this thread; 0 when all `count` lives, words
// from byte `offset` of the head on, are taken. One call, so that a thread that ends has either no
// life or one that ends with it.
Napi::Value Claim(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Attachment* attachment = OpenAttachment(info);
  const size_t offset = Bytes(info, 1, "offset");
  const size_t count = Bytes(info, 2, "count");
  if (attachment->life != nullptr || offset % 4 != 0 || count > 256 || offset + 4 * count > attachment->mapping->head) {
    ThrowRange(env, "lives must lie in the head, and a thread has one");
  }
  for (size_t index = 0; index < count; index++) {
    auto* life = reinterpret_cast<std::atomic<int32_t>*>(attachment->mapping->span.start + offset + 4 * index);
    int32_t value = life->load();
    if (value < 0 || value > 0x7fffff || value % 2 != 0) continue;
    if (!life->compare_exchange_strong(value, value + 1)) continue;
    attachment->life = life;
    attachment->living = value + 1;
    return Napi::Number::New(env, static_cast<double>((static_cast<int32_t>(value + 1) << 8) | static_cast<int32_t>(index)));
  }
  return Napi::Number::New(env, 0);
}

static_assert(sizeof(std::atomic<int32_t>) == 4 && std::atomic<int32_t>::is_always_lock_free,
              "a life is a word that JavaScript reads as well");

// shareDecommit(handle, offset, length): whole pages of the body
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
  if (const pages::Failure failure = pages::Decommit(start, length, mapping.locked, false)) ThrowSystem(env, failure);
  return env.Undefined();
}

// shareResidentBytes(handle) → number
Napi::Value ResidentBytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Mapping& mapping = *OpenAttachment(info)->mapping;
  uint64_t bytes = 0;
  if (const pages::Failure failure = pages::Resident(mapping.span.start, mapping.span.length, &bytes)) {
    ThrowSystem(env, failure);
  }
  return Napi::Number::New(env, static_cast<double>(bytes));
}

// barrier(across): false when this system has none
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
  // A thread that is terminated meanwhile ends after this.
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
