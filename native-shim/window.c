/*
 * Windows: reserved address space that JavaScript sees as an external ArrayBuffer.
 *
 * Two finalizers hold a window: that of the backing store (runs soon after close() detached it) and
 * that of the ArrayBuffer object itself. Native I/O in flight keeps the object alive, not the
 * backing store, so only both together mean that nobody can touch the addresses any more.
 *
 * V8 counts a window as external memory of its full length, and one above half the heap limit
 * forces a major collection inside the call that makes it: 16 windows of 4 GiB, 16 collections,
 * 5 ms each beside a small heap. napi_adjust_external_memory was tried on Node 20 to 26 and is
 * left out: lowering the count afterwards saves none of them, and lowering it before, below zero,
 * ends the process from Node 24 on.
 */
#include "shim.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The number is the same on every architecture; headers of older systems lack it. */
#define PROCESS_MADVISE 440
#define OWN_PROCESS (-10000)
#define RANGES 512u

/* MADV_DONTFORK belongs to the mapping; without it every fork copies page tables of gigabytes. */
static int put(void *where, size_t bytes, int flags, int fd, off_t file_at) {
  if (mmap(where, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, file_at) == MAP_FAILED) {
    return errno;
  }
  return madvise(where, bytes, MADV_DONTFORK) == 0 ? 0 : errno;
}

static int put_zeros(void *where, size_t bytes) {
  return put(where, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void finalize_store(napi_env env, void *data, void *hint) {
  (void)env;
  (void)data;
  window_let_go(hint);
}

static void finalize_object(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  window_let_go(data);
}

static napi_value wrap(napi_env env, void *base, size_t bytes) {
  napi_value buffer;
  Window *window = window_register(base, bytes, 2);
  if (window == NULL) {
    munmap(base, bytes);
    return throw_system(env, ENOMEM, "calloc");
  }
  napi_status status =
      napi_create_external_arraybuffer(env, base, bytes, finalize_store, window, &buffer);
  if (status == napi_no_external_buffers_allowed) {
    window_let_go(window);
    window_let_go(window);
    napi_throw_error(env, "ENOTSUP", "this runtime has no external buffers");
    return NULL;
  }
  if (status == napi_ok &&
      napi_add_finalizer(env, buffer, window, finalize_object, NULL, NULL) == napi_ok) {
    return buffer;
  }
  /*
   * A worker that is terminated in this call comes here. Whether the buffer was made, and its
   * finalizer will run, cannot be known: the second holder is now the environment, until it ends.
   */
  Environment *environment = NULL;
  napi_get_instance_data(env, (void **)&environment);
  window->next_doubtful = environment->doubtful;
  environment->doubtful = window;
  bool is_pending = false;
  napi_is_exception_pending(env, &is_pending);
  return is_pending ? NULL : throw_system(env, ENOMEM, "napi_create_external_arraybuffer");
}

napi_value shim_reserve(napi_env env, napi_callback_info info) {
  napi_value values[1];
  uint64_t bytes;
  if (!take_arguments(env, info, values, 1)) return NULL;
  if (!take_integer(env, values[0], "bytes", (double)WINDOW_LIMIT, &bytes)) return NULL;
  if (bytes == 0 || bytes % PAGE_BYTES != 0) {
    return throw_range(env, "bytes must be a multiple of the page size, and not 0");
  }
  void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return throw_system(env, errno, "mmap");
  if (madvise(base, bytes, MADV_DONTFORK) != 0) {
    int error = errno;
    munmap(base, bytes);
    return throw_system(env, error, "madvise");
  }
  return wrap(env, base, bytes);
}

napi_value shim_map(napi_env env, napi_callback_info info) {
  napi_value values[6];
  Window *window;
  size_t at, bytes;
  int fd;
  uint64_t file_at;
  bool is_private;
  if (!take_arguments(env, info, values, 6) || !take_window(env, values[0], &window) ||
      !take_window_range(env, window, values[1], values[4], &at, &bytes) ||
      !take_descriptor(env, values[2], &fd) ||
      !take_integer(env, values[3], "fileAt", 9007199254740991.0, &file_at) ||
      !take_boolean(env, values[5], "isPrivate", &is_private)) {
    return NULL;
  }
  if (file_at % PAGE_BYTES != 0 || bytes == 0) {
    return throw_range(env, "fileAt must be a multiple of the page size, and bytes not 0");
  }
  int error = guard_install();
  if (error != 0) return throw_system(env, error, "sigaction");
  unsigned char *where = window_bytes(window) + at;
  int flags = is_private ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
  error = put(where, bytes, flags, fd, (off_t)file_at);
  if (error == 0) {
    error = is_private ? mirror_show(window, at, bytes, fd, file_at)
                       : mirror_hide(window, at, bytes);
  }
  if (error == 0) return NULL;
  /* A refused MAP_FIXED may have removed what was there: close the hole (S2). */
  put_zeros(where, bytes);
  return throw_system(env, error, "mmap");
}

napi_value shim_unmap(napi_env env, napi_callback_info info) {
  napi_value values[3];
  Window *window;
  size_t at, bytes;
  if (!take_arguments(env, info, values, 3) || !take_window(env, values[0], &window) ||
      !take_window_range(env, window, values[1], values[2], &at, &bytes)) {
    return NULL;
  }
  if (bytes == 0) return NULL;
  int error = put_zeros(window_bytes(window) + at, bytes);
  if (error == 0) error = mirror_hide(window, at, bytes);
  return error == 0 ? NULL : throw_system(env, error, "mmap");
}

napi_value shim_close(napi_env env, napi_callback_info info) {
  napi_value values[1];
  Window *window;
  if (!take_arguments(env, info, values, 1) || !take_window(env, values[0], &window)) return NULL;
  int error = put_zeros(window_bytes(window), atomic_load(&window->bytes));
  if (error == 0) error = mirror_hide(window, 0, atomic_load(&window->bytes));
  if (error != 0) return throw_system(env, error, "mmap");
  if (napi_detach_arraybuffer(env, values[0]) != napi_ok) {
    return throw_type(env, "window cannot be detached by this runtime");
  }
  return NULL;
}

napi_value shim_sync(napi_env env, napi_callback_info info) {
  napi_value values[3];
  Window *window;
  size_t at, bytes;
  if (!take_arguments(env, info, values, 3) || !take_window(env, values[0], &window) ||
      !take_window_range(env, window, values[1], values[2], &at, &bytes)) {
    return NULL;
  }
  if (msync(window_bytes(window) + at, bytes, MS_SYNC) != 0) {
    return throw_system(env, errno, "msync");
  }
  return NULL;
}

/*
 * Many ranges in one call where the kernel can (PIDFD_SELF, Linux 6.14); dropping a range twice is
 * the same as once, so a part done is done again.
 */
static int drop_ranges(const struct iovec *ranges, size_t count) {
  static atomic_bool can_batch = true;
  if (count > 1 && atomic_load(&can_batch)) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += ranges[i].iov_len;
    long done = syscall(PROCESS_MADVISE, OWN_PROCESS, ranges, count, MADV_DONTNEED, 0);
    if (done >= 0 && (size_t)done == bytes) return 0;
    if (done < 0) atomic_store(&can_batch, false);
  }
  for (size_t i = 0; i < count; i++) {
    if (madvise(ranges[i].iov_base, ranges[i].iov_len, MADV_DONTNEED) != 0) return errno;
  }
  return 0;
}

napi_value shim_drop(napi_env env, napi_callback_info info) {
  napi_value values[3];
  Window *window;
  Runs runs;
  if (!take_arguments(env, info, values, 3) || !take_window(env, values[0], &window) ||
      !take_runs(env, values[1], values[2], window, &runs)) {
    return NULL;
  }
  struct iovec ranges[RANGES];
  size_t count = 0;
  size_t first, pages;
  for (size_t i = 0; i < runs.count; i++) {
    if (!read_run(&runs, i, &first, &pages)) return throw_range(env, RUNS_CHANGED);
    if (pages == 0) continue;
    ranges[count].iov_base = window_bytes(window) + first * PAGE_BYTES;
    ranges[count++].iov_len = pages * PAGE_BYTES;
    if (count < RANGES && i + 1 < runs.count) continue;
    int error = drop_ranges(ranges, count);
    if (error != 0) return throw_system(env, error, "madvise");
    count = 0;
  }
  int error = drop_ranges(ranges, count);
  return error == 0 ? NULL : throw_system(env, error, "madvise");
}

/* Advice: what the kernel refuses, it does without. */
napi_value shim_expect(napi_env env, napi_callback_info info) {
  napi_value values[3];
  Window *window;
  Runs runs;
  if (!take_arguments(env, info, values, 3) || !take_window(env, values[0], &window) ||
      !take_runs(env, values[1], values[2], window, &runs)) {
    return NULL;
  }
  unsigned char *base = window_bytes(window);
  madvise(base, atomic_load(&window->bytes), runs.count > 0 ? MADV_RANDOM : MADV_NORMAL);
  size_t first, pages;
  for (size_t i = 0; i < runs.count; i++) {
    if (!read_run(&runs, i, &first, &pages)) return throw_range(env, RUNS_CHANGED);
    if (pages > 0) madvise(base + first * PAGE_BYTES, pages * PAGE_BYTES, MADV_WILLNEED);
  }
  return NULL;
}

napi_value shim_faults(napi_env env, napi_callback_info info) {
  napi_value values[1];
  Window *window;
  if (!take_arguments(env, info, values, 1) || !take_window(env, values[0], &window)) return NULL;
  return give_number(env, (double)atomic_load(&window->faults) + mirror_faults(window));
}
