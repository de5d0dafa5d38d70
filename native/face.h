// Helpers for all functions that JavaScript calls: argument validation and errors.
#pragma once

// A worker may be terminated during a call. Throwing then fails, and node-addon-api would abort the
// process without this.
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

// Throws an error with the properties errno and syscall. lib/memory/refusal.ts explains it.
[[noreturn]] inline void ThrowSystem(Napi::Env env, const pages::Failure& failure) {
  const std::string message = std::string(failure.call) + ": " + std::strerror(failure.error);
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("errno", Napi::Number::New(env, failure.error));
  error.Set("syscall", failure.call);
  throw error;
}

// Returns an argument that is a number of bytes: an integer that both a double and a size_t can
// represent, with room for guards and alignment.
inline size_t Bytes(const Napi::CallbackInfo& info, size_t index, const char* name) {
  const Napi::Env env = info.Env();
  if (!info[index].IsNumber()) ThrowType(env, std::string(name) + " must be a number");
  const double value = info[index].As<Napi::Number>().DoubleValue();
  const double addressable = static_cast<double>(std::numeric_limits<size_t>::max() / 4);
  const double most = std::min(9007199254740991.0, addressable);
  if (!(value >= 0 && value <= most) || std::floor(value) != value) {
    ThrowRange(env, std::string(name) + " must be an integer of at least 0");
  }
  return static_cast<size_t>(value);
}

inline bool Flag(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsBoolean()) ThrowType(info.Env(), std::string(name) + " must be a boolean");
  return info[index].As<Napi::Boolean>().Value();
}

// The maximum size of an ArrayBuffer. Before Node 22, a larger one makes Node abort, so it must not
// be tried.
inline size_t WrapLimit(Napi::Env env) {
  const napi_node_version* version = nullptr;
  const bool known = napi_get_node_version(env, &version) == napi_ok;
  const uint64_t limit = known && version->major >= 22 ? uint64_t{1} << 53 : uint64_t{1} << 32;
  return static_cast<size_t>(std::min<uint64_t>(limit, std::numeric_limits<size_t>::max()));
}

}  // namespace face
