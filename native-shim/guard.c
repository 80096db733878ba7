/*
 * The SIGBUS guard. A mapped file that was truncated, or a device that fails, raises SIGBUS at the
 * touch of a page. Inside one of our windows the handler puts one zero page there, counts the fault
 * on the window and lets the program go on; whoever owns the window looks at the count. Any other
 * SIGBUS goes to whoever was there before.
 */
#include "shim.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sigaction previous;
static bool installed;
static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;

/* The raw call: musl's mmap may take a lock, which a signal handler must not. */
static bool mend(uintptr_t address) {
  void *page = (void *)(address & ~(uintptr_t)(PAGE_BYTES - 1));
  long result = syscall(SYS_mmap, page, (size_t)PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0L);
  if (result == -1) return false;
  /* The same flags as its neighbours, so that mended pages join into one mapping. */
  madvise(page, PAGE_BYTES, MADV_DONTFORK);
  return true;
}

/* A fault repeats when the handler returns, so that the default then ends the process. */
static void pass_on(int signal, siginfo_t *info, void *context) {
  bool is_fault = info->si_code > 0;
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler == SIG_IGN && !is_fault) {
    return;
  } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
    struct sigaction standard;
    memset(&standard, 0, sizeof(standard));
    standard.sa_handler = SIG_DFL;
    sigaction(signal, &standard, NULL);
    if (!is_fault) raise(signal);
  } else {
    previous.sa_handler(signal);
  }
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  int saved = errno;
  uintptr_t address = (uintptr_t)info->si_addr;
  Window *window = info->si_code > 0 ? window_find(address) : NULL;
  if (window != NULL && mend(address)) atomic_fetch_add(&window->faults, 1);
  else pass_on(signal, info, context);
  errno = saved;
}

int guard_install(void) {
  int error = 0;
  pthread_mutex_lock(&guard_lock);
  if (!installed) {
    struct sigaction ours;
    memset(&ours, 0, sizeof(ours));
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    /* `previous` must be known before the first signal can come. */
    if (sigaction(SIGBUS, NULL, &previous) != 0 || sigaction(SIGBUS, &ours, NULL) != 0) {
      error = errno;
    } else {
      installed = true;
    }
  }
  pthread_mutex_unlock(&guard_lock);
  return error;
}
