// What the processor says about a fault. A page whose protection was lifted can be read and
// written, never executed: only a refused read or write succeeds when it is tried again, and
// anything else would fault for ever.
#pragma once

#include <cstdint>

#if defined(__APPLE__)
#include <sys/ucontext.h>
#else
#include <ucontext.h>
#endif

namespace cause {

// Was this a read or a write? `context` is the third argument of a signal handler; start and end
// are the bounds of the memory that was hit. On a processor that is not listed here, every fault
// counts as one.
inline bool IsReadOrWrite(void* context, uintptr_t start, uintptr_t end) {
  const ucontext_t* thread = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__) || defined(__i386__)
  // The error code of a page fault: 1 present, 2 write, 4 user. Fetching an instruction, protection
  // keys, shadow stacks and enclaves have bits above these. Elsewhere instructions don't cross the
  // border of a page.
#if defined(__APPLE__)
  const uint64_t code = thread->uc_mcontext->__es.__err;
#else
  const uint64_t code = static_cast<uint64_t>(thread->uc_mcontext.gregs[REG_ERR]);
#endif
  (void)start;
  (void)end;
  return code <= 7;
#else
  uintptr_t instruction = 0;
#if defined(__APPLE__) && defined(__aarch64__)
  instruction = static_cast<uintptr_t>(__darwin_arm_thread_state64_get_pc(thread->uc_mcontext->__ss));
#elif defined(__aarch64__)
  instruction = static_cast<uintptr_t>(thread->uc_mcontext.pc);
#elif defined(__arm__)
  instruction = static_cast<uintptr_t>(thread->uc_mcontext.arm_pc);
#elif defined(__riscv)
  instruction = static_cast<uintptr_t>(thread->uc_mcontext.__gregs[REG_PC]);
#elif defined(__s390x__)
  instruction = static_cast<uintptr_t>(thread->uc_mcontext.psw.addr);
#endif
  return instruction < start || instruction >= end;
#endif
}

}  // namespace cause
