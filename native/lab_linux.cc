// Confines a process to computing, with rlimits and seccomp. See lab.h.

#include "lab.h"

#include <cerrno>
#include <climits>
#include <cstddef>
#include <ctime>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lab {

pages::Failure Share(int file, uint64_t offset, size_t length, void** start) {
  constexpr int access = PROT_READ | PROT_WRITE;
  void* mapped = mmap(nullptr, length, access, MAP_SHARED, file, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return {errno, "mmap"};
  *start = mapped;
  return {};
}

void Unshare(void* start, size_t length) { munmap(start, length); }

int32_t Wait(const int32_t* word, int32_t value, uint32_t spins, double milliseconds) {
  for (uint32_t i = 0; i < spins; i++) {
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) break;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }
  timespec time;
  time.tv_sec = static_cast<time_t>(milliseconds / 1000);
  time.tv_nsec = static_cast<long>((milliseconds - static_cast<double>(time.tv_sec) * 1000) * 1e6);
  if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
    syscall(SYS_futex, word, FUTEX_WAIT, value, &time, nullptr, 0);
  }
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void Post(int32_t* word, int32_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// System calls that change, or reveal, something outside this process.
constexpr int kRefused[] = {
#ifdef SYS_fork
    SYS_fork,
#endif
#ifdef SYS_vfork
    SYS_vfork,
#endif
#ifdef SYS_open
    SYS_open, SYS_creat, SYS_unlink, SYS_rename, SYS_link, SYS_symlink, SYS_mkdir, SYS_rmdir,
    SYS_chmod, SYS_chown, SYS_mknod,
#endif
    SYS_execve, SYS_execveat, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_socket, SYS_socketpair,
    SYS_connect, SYS_bind, SYS_openat, SYS_unlinkat, SYS_renameat2, SYS_linkat, SYS_symlinkat,
    SYS_mkdirat, SYS_mknodat, SYS_fchmodat, SYS_fchownat, SYS_truncate, SYS_ftruncate, SYS_mount,
    SYS_umount2, SYS_chroot, SYS_setrlimit, SYS_setpgid, SYS_setsid, SYS_unshare, SYS_setns,
    SYS_keyctl, SYS_shmget, SYS_semget, SYS_msgget, SYS_sched_setaffinity, SYS_setpriority,
    SYS_timer_create,
#ifdef SYS_openat2
    SYS_openat2,
#endif
#ifdef SYS_pidfd_send_signal
    SYS_pidfd_send_signal,
#endif
#ifdef SYS_io_uring_setup
    SYS_io_uring_setup,
#endif
    SYS_userfaultfd, SYS_bpf, SYS_perf_event_open, SYS_memfd_create};

constexpr size_t kMostInstructions = sizeof(kRefused) / sizeof(kRefused[0]) * 2 + 40;

struct Program {
  sock_filter code[kMostInstructions];
  unsigned short length = 0;

  void Add(uint16_t code_, uint32_t k, uint8_t yes = 0, uint8_t no = 0) {
    code[length++] = {code_, yes, no, k};
  }
  void Load(size_t offset) { Add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  void Refuse(int error) { Add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)); }
  // The next `count` instructions apply to this call only.
  void For(int call, uint8_t count) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, count);
  }
};

bool FilterCalls() {
  if (kArchitecture == 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  // The offset of the low half of an argument. Both architectures are little-endian.
  const auto argument = [](size_t index) { return offsetof(seccomp_data, args) + 8 * index; };
  Program program;
  program.Load(offsetof(seccomp_data, arch));
  program.Add(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0);
  program.Add(BPF_RET | BPF_K, SECCOMP_RET_KILL);
  program.Load(offsetof(seccomp_data, nr));
  // The system call numbers of x32.
  program.Add(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
  program.Refuse(EPERM);
  for (const int call : kRefused) {
    program.For(call, 1);
    program.Refuse(EPERM);
  }
  // New threads, but no new processes. The C library uses clone() if clone3() fails with ENOSYS.
#ifdef SYS_clone3
  program.For(SYS_clone3, 1);
  program.Refuse(ENOSYS);
#endif
  program.For(SYS_clone, 4);
  program.Load(argument(0));
  program.Add(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
  program.Refuse(EPERM);
  program.Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  // Signals to the process itself: abort() sends one.
  program.For(SYS_tgkill, 4);
  program.Load(argument(0));
  program.Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(getpid()), 1, 0);
  program.Refuse(EPERM);
  program.Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  // Reading limits: the third argument is then NULL.
  program.For(SYS_prlimit64, 6);
  program.Load(argument(2));
  program.Add(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
  program.Load(argument(2) + 4);
  program.Add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
  program.Refuse(EPERM);
  program.Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program.For(SYS_prctl, 4);
  program.Load(argument(0));
  program.Add(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_PDEATHSIG, 0, 1);
  program.Refuse(EPERM);
  program.Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program.Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  sock_fprog filter = {program.length, program.code};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}

// Returns 1, or 0 if the system refuses. The type of a resource is int in musl, and an enum in
// glibc.
template <typename Resource>
int Limit(Resource resource, uint64_t value) {
  const rlimit limit = {static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  return setrlimit(resource, &limit) == 0 ? 1 : 0;
}

}  // namespace

int Confine(uint64_t bytes, uint64_t seconds) {
  int done = prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0) == 0 ? kParent : 0;
  // Set each limit, even if another one was refused.
  const int set = Limit(RLIMIT_CORE, 0) + Limit(RLIMIT_FSIZE, 0) + Limit(RLIMIT_NOFILE, 0) +
                  Limit(RLIMIT_DATA, bytes) + Limit(RLIMIT_CPU, seconds);
  if (set == 5) done |= kLimits;
  if (FilterCalls()) done |= kCalls;
  return done;
}

}  // namespace lab
