// What every function that JavaScript calls needs: arguments checked, and errors that TypeScript
// puts into words.
#pragma once

// A worker may be terminated while it runs a call. Nothing can be thrown in it any more, and
// node-addon-api would end the process for that.
#ifndef NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#endif
#include <napi.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "pages.h"

namespace face {

[[noreturn]] inline void ThrowType(Napi::Env env, const std::string& message) {
  Napi::TypeError error = Napi::TypeError::New(env, message);
  error.Set("code", "ERR_INVALID_ARG_TYPE");
  throw error;
}

[[noreturn]] inline void ThrowRange(Napi::Env env, const std::string& message) {
  Napi::RangeError error = Napi::RangeError::New(env, message);
  error.Set("code", "ERR_OUT_OF_RANGE");
  throw error;
}

[[noreturn]] inline void ThrowCode(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  throw error;
}

// What the system refused goes to TypeScript as { errno, syscall }, which knows how to say it in
// words.
[[noreturn]] inline void ThrowSystem(Napi::Env env, const pages::Failure& failure) {
  Napi::Error error = Napi::Error::New(env, std::string(failure.call) + ": " + std::strerror(failure.error));
  error.Set("errno", Napi::Number::New(env, failure.error));
  error.Set("syscall", failure.call);
  throw error;
}

// A count of bytes: an integer that a double and a size_t can both hold, with room for guards and
// alignment.
inline size_t Bytes(const Napi::CallbackInfo& info, size_t index, const char* name) {
  const Napi::Env env = info.Env();
  if (!info[index].IsNumber()) ThrowType(env, std::string(name) + " must be a number");
  const double value = info[index].As<Napi::Number>().DoubleValue();
  const double most = std::min(9007199254740991.0, static_cast<double>(std::numeric_limits<size_t>::max() / 4));
  if (!(value >= 0 && value <= most) || std::floor(value) != value) {
    ThrowRange(env, std::string(name) + " must be an integer of at least 0");
  }
  return static_cast<size_t>(value);
}

inline bool Flag(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsBoolean()) ThrowType(info.Env(), std::string(name) + " must be a boolean");
  return info[index].As<Napi::Boolean>().Value();
}

// The most bytes that an ArrayBuffer may wrap. Before Node 22 a larger one makes Node abort, so it
// must never be tried.
inline size_t WrapLimit(Napi::Env env) {
  const napi_node_version* version = nullptr;
  const bool known = napi_get_node_version(env, &version) == napi_ok;
  const uint64_t limit = known && version->major >= 22 ? uint64_t{1} << 53 : uint64_t{1} << 32;
  return static_cast<size_t>(std::min<uint64_t>(limit, std::numeric_limits<size_t>::max()));
}

}  // namespace face
