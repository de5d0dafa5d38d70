// The C++ side of the benchmark: malloc and free of the C library, or of a library loaded with
// LD_PRELOAD, in one loop over the same columns as the JavaScript loop (../work/replay.ts), and
// malloc and free with one Node-API call each. Uses plain node_api.h, without a C++ wrapper, to
// keep the calls as cheap as possible.

#include <dlfcn.h>
#include <node_api.h>
#include <sys/resource.h>
#include <time.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Allocator {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void* (*aligned)(size_t, size_t);  // alignment first
  void (*free)(void*);
};

// Looks up the functions of a loaded library; returns false if it isn't loaded, or lacks one. The
// linker's address of malloc is that of a jump in the executable; these addresses avoid it, so that
// all libraries are called alike.
bool FindIn(const char* file, Allocator* found) {
  void* library = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return false;
  found->malloc = reinterpret_cast<void* (*)(size_t)>(dlsym(library, "malloc"));
  found->calloc = reinterpret_cast<void* (*)(size_t, size_t)>(dlsym(library, "calloc"));
  found->realloc = reinterpret_cast<void* (*)(void*, size_t)>(dlsym(library, "realloc"));
  found->aligned = reinterpret_cast<void* (*)(size_t, size_t)>(dlsym(library, "aligned_alloc"));
  found->free = reinterpret_cast<void (*)(void*)>(dlsym(library, "free"));
  return found->malloc != nullptr && found->calloc != nullptr && found->realloc != nullptr &&
         found->aligned != nullptr && found->free != nullptr;
}

Allocator OfSystem() {
  Allocator found;
  if (FindIn("libc.so.6", &found)) return found;
  return {std::malloc, std::calloc, std::realloc, std::aligned_alloc, std::free};
}

Allocator allocator = OfSystem();
std::vector<void*> table;  // slot -> pointer, as in the JavaScript loop

struct Columns {
  const uint8_t* kinds;
  const int32_t* slots;
  const int32_t* sizes;
  const int32_t* extras;
};

enum Kind { MALLOC, CALLOC, REALLOC, ALIGNED, FREE };

// The floor of the loops: their time without allocation. As in the JavaScript loop, malloc returns
// its size.
void* NoMalloc(size_t size) { return reinterpret_cast<void*>(size); }
void* NoCalloc(size_t, size_t size) { return reinterpret_cast<void*>(size); }
void* NoRealloc(void* pointer, size_t) { return pointer; }
void* NoAligned(size_t, size_t size) { return reinterpret_cast<void*>(size); }
void NoFree(void*) {}
bool nothing = false;

double CpuTime() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

bool use_cpu_time = false;

double Now() {
  if (use_cpu_time) return CpuTime();
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::nano>(now).count();
}

// The allocator is passed by value: its functions stay in registers or on the stack, and each is an
// indirect call with one target, as a call into a shared library is anyway.
void Replay(const Allocator a, const Columns& c, void** slots_to_pointers, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) {
    void** entry = &slots_to_pointers[c.slots[i]];
    switch (c.kinds[i]) {
      case MALLOC: *entry = a.malloc(c.sizes[i]); break;
      case FREE: a.free(*entry); *entry = nullptr; break;
      case REALLOC: *entry = a.realloc(*entry, c.sizes[i]); break;
      case CALLOC: *entry = a.calloc(c.extras[i], c.sizes[i]); break;
      case ALIGNED: *entry = a.aligned(c.extras[i], c.sizes[i]); break;
    }
  }
}

// Replays the same operations, and fills and compares every payload. Returns an error message, or
// nothing.
std::string Verify(const Allocator& a, const Columns& c, size_t length) {
  std::vector<size_t> sizes(table.size());
  auto intact = [&](size_t slot, size_t bytes) {
    const auto* p = static_cast<const unsigned char*>(table[slot]);
    const auto pattern = static_cast<unsigned char>(slot * 31 + 7);
    return bytes == 0 || (p[0] == pattern && std::memcmp(p, p + 1, bytes - 1) == 0);
  };
  for (size_t i = 0; i < length; i++) {
    const size_t slot = c.slots[i];
    const size_t before = sizes[slot];
    const std::string where = "operation " + std::to_string(i) + ": ";
    if (table[slot] != nullptr && !intact(slot, before)) return where + "a payload was overwritten";
    if (c.kinds[i] == FREE) {
      a.free(table[slot]);
      table[slot] = nullptr;
      sizes[slot] = 0;
      continue;
    }
    size_t size = c.sizes[i];
    if (c.kinds[i] == MALLOC) table[slot] = a.malloc(size);
    if (c.kinds[i] == REALLOC) table[slot] = a.realloc(table[slot], size);
    if (c.kinds[i] == ALIGNED) table[slot] = a.aligned(c.extras[i], size);
    if (c.kinds[i] == CALLOC) {
      table[slot] = a.calloc(c.extras[i], size);
      size *= c.extras[i];
      const auto* p = static_cast<const unsigned char*>(table[slot]);
      for (size_t byte = 0; p != nullptr && byte < size; byte++) {
        if (p[byte] != 0) return where + "calloc left a byte that is not zero";
      }
    }
    if (table[slot] == nullptr) return where + "no memory";
    if (c.kinds[i] == REALLOC && !intact(slot, before < size ? before : size)) {
      return where + "realloc lost bytes";
    }
    if (reinterpret_cast<uintptr_t>(table[slot]) % (c.kinds[i] == ALIGNED ? c.extras[i] : 8) != 0) {
      return where + "misaligned";
    }
    std::memset(table[slot], static_cast<unsigned char>(slot * 31 + 7), size);
    sizes[slot] = size;
  }
  for (size_t slot = 0; slot < table.size(); slot++) {
    if (table[slot] != nullptr && !intact(slot, sizes[slot])) {
      return "at the end: a payload was overwritten";
    }
    a.free(table[slot]);
    table[slot] = nullptr;
  }
  return "";
}

// ---- Node-API -----------------------------------------------------------------------------------

struct Arguments {
  napi_value values[6];
  Arguments(napi_env env, napi_callback_info info) {
    size_t count = 6;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
};

double ToNumber(napi_env env, napi_value value) {
  double number = 0;
  napi_get_value_double(env, value, &number);
  return number;
}

napi_value FromNumber(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

napi_value FromString(napi_env env, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.c_str(), NAPI_AUTO_LENGTH, &value);
  return value;
}

napi_value FromPointer(napi_env env, void* pointer) {
  return FromNumber(env, static_cast<double>(reinterpret_cast<uintptr_t>(pointer)));
}

void* ToPointer(napi_env env, napi_value value) {
  return reinterpret_cast<void*>(static_cast<uintptr_t>(ToNumber(env, value)));
}

template <typename Element>
const Element* ToArray(napi_env env, napi_value value) {
  void* data = nullptr;
  napi_get_typedarray_info(env, value, nullptr, nullptr, &data, nullptr, nullptr);
  return static_cast<const Element*>(data);
}

Columns ToColumns(napi_env env, const Arguments& a) {
  return {ToArray<uint8_t>(env, a.values[0]), ToArray<int32_t>(env, a.values[1]),
          ToArray<int32_t>(env, a.values[2]), ToArray<int32_t>(env, a.values[3])};
}

// useLibrary(file): makes the loops call a library that LD_PRELOAD loaded. Returns whether it is
// loaded.
napi_value UseLibrary(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  char file[256] = "";
  napi_get_value_string_utf8(env, a.values[0], file, sizeof file, nullptr);
  Allocator found;
  const bool is_there = FindIn(file, &found);
  if (is_there) allocator = found;
  napi_value value;
  napi_get_boolean(env, is_there, &value);
  return value;
}

// allocateNothing(): makes the loops measure their own floor.
napi_value AllocateNothing(napi_env, napi_callback_info) {
  allocator = {NoMalloc, NoCalloc, NoRealloc, NoAligned, NoFree};
  nothing = true;
  return nullptr;
}

// useCpuTime(use): selects the clock of the loops below.
napi_value UseCpuTime(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  napi_get_value_bool(env, a.values[0], &use_cpu_time);
  return nullptr;
}

// cpuTime(): of this thread, in nanoseconds.
napi_value ThreadTime(napi_env env, napi_callback_info) { return FromNumber(env, CpuTime()); }

// faults(): the number of page faults without disk access, of this process (of this thread, on
// Linux).
napi_value Faults(napi_env env, napi_callback_info) {
#ifdef RUSAGE_THREAD
  const int who = RUSAGE_THREAD;
#else
  const int who = RUSAGE_SELF;
#endif
  rusage usage;
  getrusage(who, &usage);
  return FromNumber(env, static_cast<double>(usage.ru_minflt));
}

// prepare(slots): an empty pointer table.
napi_value Prepare(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  table.assign(static_cast<size_t>(ToNumber(env, a.values[0])), nullptr);
  return nullptr;
}

// replay(kinds, slots, sizes, extras, from, to): nanoseconds.
napi_value ReplayColumns(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  const Columns columns = ToColumns(env, a);
  const auto from = static_cast<size_t>(ToNumber(env, a.values[4]));
  const auto to = static_cast<size_t>(ToNumber(env, a.values[5]));
  const double begin = Now();
  Replay(allocator, columns, table.data(), from, to);
  return FromNumber(env, Now() - begin);
}

// verify(kinds, slots, sizes, extras, length): an error message, or "".
napi_value VerifyColumns(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  if (nothing) return FromString(env, "");
  const auto length = static_cast<size_t>(ToNumber(env, a.values[4]));
  return FromString(env, Verify(allocator, ToColumns(env, a), length));
}

// freeSlots(slots): frees the blocks that a replay left allocated.
napi_value FreeSlots(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  void* data = nullptr;
  size_t length = 0;
  napi_get_typedarray_info(env, a.values[0], nullptr, &length, &data, nullptr, nullptr);
  for (size_t i = 0; i < length; i++) {
    void** entry = &table[static_cast<int32_t*>(data)[i]];
    allocator.free(*entry);
    *entry = nullptr;
  }
  return nullptr;
}

// pairs(size, count, cleared): nanoseconds for `count` times malloc (or calloc) and free.
napi_value Pairs(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  const auto size = static_cast<size_t>(ToNumber(env, a.values[0]));
  const auto count = static_cast<size_t>(ToNumber(env, a.values[1]));
  bool cleared = false;
  napi_get_value_bool(env, a.values[2], &cleared);
  const Allocator used = allocator;
  const double begin = Now();
  if (cleared) {
    for (size_t i = 0; i < count; i++) used.free(used.calloc(1, size));
  } else {
    for (size_t i = 0; i < count; i++) used.free(used.malloc(size));
  }
  return FromNumber(env, Now() - begin);
}

// touch(size, count, pointers): nanoseconds to allocate `count` blocks and write one byte into each
// 4 KiB page of them. The blocks stay; release() frees them.
std::vector<void*> touched;
napi_value Touch(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  const auto size = static_cast<size_t>(ToNumber(env, a.values[0]));
  const auto count = static_cast<size_t>(ToNumber(env, a.values[1]));
  touched.reserve(count);
  const double begin = Now();
  for (size_t i = 0; i < count; i++) {
    auto* block = static_cast<volatile char*>(allocator.malloc(size));
    for (size_t offset = 0; offset < size; offset += 4096) block[offset] = 1;
    touched.push_back(const_cast<char*>(block));
  }
  return FromNumber(env, Now() - begin);
}

napi_value Release(napi_env, napi_callback_info) {
  for (void* block : touched) allocator.free(block);
  touched.clear();
  return nullptr;
}

// One call each: malloc(size), calloc(count, size), realloc(pointer, size), alignedAlloc(alignment,
// size), free(pointer). A pointer is a double: user addresses have at most 48 bits.
napi_value CallMalloc(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  return FromPointer(env, std::malloc(static_cast<size_t>(ToNumber(env, a.values[0]))));
}

napi_value CallCalloc(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  const auto count = static_cast<size_t>(ToNumber(env, a.values[0]));
  return FromPointer(env, std::calloc(count, static_cast<size_t>(ToNumber(env, a.values[1]))));
}

napi_value CallRealloc(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  const auto size = static_cast<size_t>(ToNumber(env, a.values[1]));
  return FromPointer(env, std::realloc(ToPointer(env, a.values[0]), size));
}

napi_value CallAlignedAlloc(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  void* pointer = nullptr;
  const auto alignment = static_cast<size_t>(ToNumber(env, a.values[0]));
  const auto size = static_cast<size_t>(ToNumber(env, a.values[1]));
  const size_t least = alignment < sizeof(void*) ? sizeof(void*) : alignment;
  if (posix_memalign(&pointer, least, size) != 0) pointer = nullptr;
  return FromPointer(env, pointer);
}

napi_value CallFree(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  std::free(ToPointer(env, a.values[0]));
  return nullptr;
}

// bytes(pointer, size): an ArrayBuffer over the block, for the verification of the one-call
// contender.
napi_value Bytes(napi_env env, napi_callback_info info) {
  Arguments a(env, info);
  napi_value buffer;
  const auto size = static_cast<size_t>(ToNumber(env, a.values[1]));
  void* block = ToPointer(env, a.values[0]);
  napi_create_external_arraybuffer(env, block, size, nullptr, nullptr, &buffer);
  return buffer;
}

napi_value Initialize(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"useLibrary", UseLibrary},
                   {"allocateNothing", AllocateNothing},
                   {"useCpuTime", UseCpuTime},
                   {"cpuTime", ThreadTime},
                   {"faults", Faults},
                   {"prepare", Prepare},
                   {"replay", ReplayColumns},
                   {"verify", VerifyColumns},
                   {"freeSlots", FreeSlots},
                   {"pairs", Pairs},
                   {"touch", Touch},
                   {"release", Release},
                   {"malloc", CallMalloc},
                   {"calloc", CallCalloc},
                   {"realloc", CallRealloc},
                   {"alignedAlloc", CallAlignedAlloc},
                   {"free", CallFree},
                   {"bytes", Bytes}};
  for (const auto& entry : functions) {
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.function, nullptr, &function);
    napi_set_named_property(env, exports, entry.name, function);
  }
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Initialize)
