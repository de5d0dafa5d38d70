// The JavaScript interface of lab.h: validates arguments, and manages the lifetime of shared
// memory.

#include "face.h"

#include "lab.h"

namespace {

double Count(const Napi::CallbackInfo& info, size_t index, double most) {
  const std::string name = "argument " + std::to_string(index);
  if (!info[index].IsNumber()) face::ThrowType(info.Env(), name + " must be a number");
  const double value = info[index].As<Napi::Number>().DoubleValue();
  if (!(value >= 0 && value <= most) || std::floor(value) != value) {
    face::ThrowRange(info.Env(), name + " must be an integer from 0 to " + std::to_string(most));
  }
  return value;
}

struct Shared {
  void* start;
  size_t length;
};

void Finalize(napi_env, void*, void* hint) {
  Shared* shared = static_cast<Shared*>(hint);
  lab::Unshare(shared->start, shared->length);
  delete shared;
}

// share(file, offset, length) → ArrayBuffer, which is unmapped when it is collected
Napi::Value Share(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int file = static_cast<int>(Count(info, 0, 1e9));
  const uint64_t offset = static_cast<uint64_t>(Count(info, 1, 4503599627370496.0));
  const size_t length = static_cast<size_t>(Count(info, 2, 4294967295.0));
  void* start = nullptr;
  const pages::Failure failure = lab::Share(file, offset, length, &start);
  if (failure) face::ThrowSystem(env, failure);
  napi_value buffer = nullptr;
  Shared* shared = new Shared{start, length};
  if (napi_create_external_arraybuffer(env, start, length, Finalize, shared, &buffer) != napi_ok) {
    // The finalizer may still run, so the pages stay mapped.
    face::ThrowCode(env, "ERR_OFFHEAP_UNSUPPORTED",
                    "this build of Node refused to wrap shared memory as an ArrayBuffer");
  }
  return Napi::Value(env, buffer);
}

// Returns the word of the ArrayBuffer in argument 0 with the index in argument 1.
int32_t* WordOf(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer()) face::ThrowType(info.Env(), "argument 0 must be an ArrayBuffer");
  void* data = nullptr;
  size_t length = 0;
  napi_get_arraybuffer_info(info.Env(), info[0], &data, &length);
  const double words = static_cast<double>(length / 4);
  const double index = Count(info, 1, words - 1);
  return static_cast<int32_t*>(data) + static_cast<size_t>(index);
}

// wait(buffer, index, value, spins, milliseconds) → the value of the word
Napi::Value Wait(const Napi::CallbackInfo& info) {
  const int32_t* word = WordOf(info);
  const int32_t value = static_cast<int32_t>(Count(info, 2, 2147483647.0));
  const uint32_t spins = static_cast<uint32_t>(Count(info, 3, 4294967295.0));
  return Napi::Number::New(info.Env(), lab::Wait(word, value, spins, Count(info, 4, 1e9)));
}

// post(buffer, index, value): stores the word, and wakes the threads that wait for it
Napi::Value Post(const Napi::CallbackInfo& info) {
  int32_t* word = WordOf(info);
  lab::Post(word, static_cast<int32_t>(Count(info, 2, 2147483647.0)));
  return info.Env().Undefined();
}

// confine(bytes, seconds) → which limits are in force
Napi::Value Confine(const Napi::CallbackInfo& info) {
  const uint64_t bytes = static_cast<uint64_t>(Count(info, 0, 9007199254740991.0));
  const uint64_t seconds = static_cast<uint64_t>(Count(info, 1, 1e9));
  return Napi::Number::New(info.Env(), lab::Confine(bytes, seconds));
}

}  // namespace

void InitLab(Napi::Env env, Napi::Object exports) {
  Napi::Object lab = Napi::Object::New(env);
  lab.Set("share", Napi::Function::New(env, Share, "share"));
  lab.Set("wait", Napi::Function::New(env, Wait, "wait"));
  lab.Set("post", Napi::Function::New(env, Post, "post"));
  lab.Set("confine", Napi::Function::New(env, Confine, "confine"));
  exports.Set("lab", lab);
}
