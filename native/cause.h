// The kind of access that caused a fault. A page whose protection was lifted can be read and
// written, but not executed. So only a read or a write succeeds when it is repeated; anything else
// would fault forever.
#pragma once

#include <cstdint>

#if defined(__APPLE__)
#include <sys/ucontext.h>
#else
#include <ucontext.h>
#endif

namespace cause {

// Returns whether the access was a read or a write. `context` is the third argument of a signal
// handler; start and end are the bounds of the accessed mapping. On a processor that is not listed
// here, returns true.
inline bool IsReadOrWrite(void* context, uintptr_t start, uintptr_t end) {
  const ucontext_t* thread = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__) || defined(__i386__)
  // The bits of a page fault's error code: 1 present, 2 write, 4 user. Instruction fetches,
  // protection keys, shadow stacks and enclaves set higher bits. (The other processors compare the
  // address of the instruction, which does not cross a page boundary there.)
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
  const auto& state = thread->uc_mcontext->__ss;
  instruction = static_cast<uintptr_t>(__darwin_arm_thread_state64_get_pc(state));
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
