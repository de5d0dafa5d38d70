// A signal handler that shares its signal: what is not its own goes to whoever handled it before.
#pragma once

#include <dlfcn.h>
#include <signal.h>

#include <atomic>
#include <cerrno>

#include "pages.h"

namespace signals {

using Handler = void (*)(int, siginfo_t*, void*);

// The handler that a signal had before ours.
struct Earlier {
  bool known;
  struct sigaction action;
  std::atomic<bool> ran;
};

inline bool Has(const struct sigaction& action, void (*handler)(int)) {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == handler;
}

// Does what would have happened without our handler.
inline void Chain(Earlier& earlier, int signal, siginfo_t* info, void* context) {
  const struct sigaction& action = earlier.action;
  // A handler that was to run once would have been replaced by the default action as it ran.
  const bool isSpent = (action.sa_flags & SA_RESETHAND) != 0 && earlier.ran.exchange(true);
  const bool isDefault = isSpent || Has(action, SIG_DFL);
  const bool isIgnored = !isSpent && Has(action, SIG_IGN);
  const bool sent = info->si_code <= 0;
  if (isIgnored && sent) return;
  if (isDefault || isIgnored) {
    // The instruction faults again after the return, and then nobody is there to catch it.
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

// Installs a handler, and again when a later one went and left the default action. A later handler
// that is still there stays: it may pass on to ours what is not its own.
inline pages::Failure Install(int signal, Handler handler, Earlier* earlier) {
  struct sigaction current;
  if (sigaction(signal, nullptr, &current) != 0) return {errno, "sigaction"};
  if (earlier->known && !Has(current, SIG_DFL) && !Has(current, SIG_IGN)) return {};
  if (!earlier->known) earlier->action = current;
  earlier->known = true;
  struct sigaction action = {};
  action.sa_sigaction = handler;
  // The handler before ours runs inside ours, so it gets the signal mask that it asked for.
  action.sa_mask = earlier->action.sa_mask;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | (earlier->action.sa_flags & (SA_NODEFER | SA_RESTART));
  if (sigaction(signal, &action, nullptr) != 0) return {errno, "sigaction"};
  return {};
}

// Node unloads an addon when the last worker that loaded it ends. A handler must stay.
inline pages::Failure StayLoaded(Handler handler) {
  Dl_info library;
  const bool known = dladdr(reinterpret_cast<void*>(handler), &library) != 0;
  if (known && dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) != nullptr) return {};
  return {ENOMEM, "dlopen"};
}

}  // namespace signals
