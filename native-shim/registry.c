/*
 * The windows of the process. Writers hold a lock; the SIGBUS handler reads without one. Nodes are
 * never unlinked, only emptied and used again, so a reader can always follow `next`. A reader that
 * meets a node in change skips it: that is no window anyone can be touching at that moment.
 */
#include "shim.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

static _Atomic(Window *) windows;
static pthread_mutex_t windows_lock = PTHREAD_MUTEX_INITIALIZER;

static void place(Window *window, uintptr_t base, size_t bytes) {
  atomic_fetch_add(&window->version, 1);
  atomic_store(&window->base, base);
  atomic_store(&window->bytes, bytes);
  atomic_store(&window->faults, 0);
  atomic_fetch_add(&window->version, 1);
}

static Window *spare_node(void) {
  for (Window *node = atomic_load(&windows); node != NULL; node = node->next) {
    if (atomic_load(&node->bytes) == 0) return node;
  }
  Window *node = calloc(1, sizeof(Window));
  if (node == NULL) return NULL;
  node->next = atomic_load(&windows);
  atomic_store(&windows, node);
  return node;
}

Window *window_register(void *base, size_t bytes, int holders) {
  pthread_mutex_lock(&windows_lock);
  Window *window = spare_node();
  if (window != NULL) {
    atomic_store(&window->holders, holders);
    place(window, (uintptr_t)base, bytes);
  }
  pthread_mutex_unlock(&windows_lock);
  return window;
}

/* The last holder gives the address space back; the node is emptied before, while it is ours. */
void window_let_go(Window *window) {
  if (atomic_fetch_sub(&window->holders, 1) != 1) return;
  Window *mirror = atomic_exchange(&window->mirror, NULL);
  if (mirror != NULL) window_let_go(mirror);
  void *base = (void *)atomic_load(&window->base);
  size_t bytes = atomic_load(&window->bytes);
  pthread_mutex_lock(&windows_lock);
  place(window, 0, 0);
  pthread_mutex_unlock(&windows_lock);
  munmap(base, bytes);
}

/*
 * A doubtful window has two holders at most: the environment, and a finalizer that may exist. No
 * finalizer can run any more when the environment ends.
 */
void window_let_go_doubtful(Window *window) {
  while (window != NULL) {
    Window *next = window->next_doubtful;
    if (atomic_load(&window->holders) == 2) window_let_go(window);
    window_let_go(window);
    window = next;
  }
}

/* The window that holds an address, or NULL. Async-signal-safe. */
Window *window_find(uintptr_t address) {
  for (Window *node = atomic_load(&windows); node != NULL; node = node->next) {
    unsigned version = atomic_load(&node->version);
    uintptr_t base = atomic_load(&node->base);
    size_t bytes = atomic_load(&node->bytes);
    if (version % 2 != 0 || version != atomic_load(&node->version)) continue;
    if (address >= base && address - base < bytes) return node;
  }
  return NULL;
}

unsigned char *window_bytes(const Window *window) {
  return (unsigned char *)atomic_load(&window->base);
}
