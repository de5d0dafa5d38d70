// Signal handlers that share a signal: a signal that is not for this handler is passed on to the
// previous one.
#pragma once

#include <dlfcn.h>
#include <signal.h>

#include <atomic>
#include <cerrno>

#include "pages.h"

namespace signals {

using Handler = void (*)(int, siginfo_t*, void*);

// The previous handler of a signal.
struct Earlier {
  bool known;
  struct sigaction action;
  std::atomic<bool> ran;
};

inline bool Has(const struct sigaction& action, void (*handler)(int)) {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == handler;
}

// Calls the previous handler, or takes the default action.
inline void Chain(Earlier& earlier, int signal, siginfo_t* info, void* context) {
  const struct sigaction& action = earlier.action;
  // A handler with SA_RESETHAND runs once; then the default action applies.
  const bool isSpent = (action.sa_flags & SA_RESETHAND) != 0 && earlier.ran.exchange(true);
  const bool isDefault = isSpent || Has(action, SIG_DFL);
  const bool isIgnored = !isSpent && Has(action, SIG_IGN);
  const bool sent = info->si_code <= 0;
  if (isIgnored && sent) return;
  if (isDefault || isIgnored) {
    // After the return, the instruction faults again, and the default action ends the process.
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, nullptr);
    if (sent) raise(signal);
    return;
  }
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signal, info, context);
  } else {
    action.sa_handler(signal);
  }
}

// Installs a handler. Installs it again if a later handler was removed and left the default action.
// A later handler that is still installed is kept: it may pass signals on to this one.
inline pages::Failure Install(int signal, Handler handler, Earlier* earlier) {
  struct sigaction current;
  if (sigaction(signal, nullptr, &current) != 0) return {errno, "sigaction"};
  if (earlier->known && !Has(current, SIG_DFL) && !Has(current, SIG_IGN)) return {};
  if (!earlier->known) earlier->action = current;
  earlier->known = true;
  struct sigaction action = {};
  action.sa_sigaction = handler;
  // The previous handler is called by this one, so it must run with its own signal mask and flags.
  action.sa_mask = earlier->action.sa_mask;
  const int kept = earlier->action.sa_flags & (SA_NODEFER | SA_RESTART);
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | kept;
  if (sigaction(signal, &action, nullptr) != 0) return {errno, "sigaction"};
  return {};
}

// Node unloads an addon when the last worker that loaded it ends. A handler must stay loaded.
inline pages::Failure StayLoaded(Handler handler) {
  Dl_info library;
  constexpr int flags = RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE;
  const bool known = dladdr(reinterpret_cast<void*>(handler), &library) != 0;
  if (known && dlopen(library.dli_fname, flags) != nullptr) return {};
  return {ENOMEM, "dlopen"};
}

}  // namespace signals
