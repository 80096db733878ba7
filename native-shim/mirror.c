/*
 * Mirrors. Beside a private mapping of a file its window keeps a second, read-only and shared view
 * of the same range. It shows what the file holds now, so a page can be compared with the file by
 * memcmp, which stops at the first difference, instead of by reading it. JavaScript never sees it.
 */
#include "shim.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static int put(void *where, size_t bytes, int protection, int flags, int fd, off_t file_at) {
  if (mmap(where, bytes, protection, flags | MAP_FIXED, fd, file_at) == MAP_FAILED) return errno;
  return madvise(where, bytes, MADV_DONTFORK) == 0 ? 0 : errno;
}

/* Zero pages where nothing is shown, so that no address of a mirror can fault. */
static int put_nothing(void *where, size_t bytes) {
  return put(where, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static Window *make_mirror(Window *window) {
  size_t bytes = atomic_load(&window->bytes);
  void *base = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return NULL;
  Window *mirror = window_register(base, bytes, 1);
  if (mirror == NULL) munmap(base, bytes);
  else atomic_store(&window->mirror, mirror);
  return mirror;
}

int mirror_show(Window *window, size_t at, size_t bytes, int fd, uint64_t file_at) {
  Window *mirror = atomic_load(&window->mirror);
  if (mirror == NULL) mirror = make_mirror(window);
  if (mirror == NULL) return ENOMEM;
  unsigned char *where = window_bytes(mirror) + at;
  int error = put(where, bytes, PROT_READ, MAP_SHARED, fd, (off_t)file_at);
  if (error != 0) put_nothing(where, bytes);
  return error;
}

int mirror_hide(Window *window, size_t at, size_t bytes) {
  Window *mirror = atomic_load(&window->mirror);
  return mirror == NULL ? 0 : put_nothing(window_bytes(mirror) + at, bytes);
}

unsigned mirror_faults(const Window *window) {
  Window *mirror = atomic_load(&window->mirror);
  return mirror == NULL ? 0 : atomic_load(&mirror->faults);
}

napi_value shim_changed_pages(napi_env env, napi_callback_info info) {
  napi_value values[4];
  Window *window;
  Runs runs;
  Array out;
  if (!take_arguments(env, info, values, 4) || !take_window(env, values[0], &window) ||
      !take_runs(env, values[1], values[2], window, &runs) ||
      !take_array(env, values[3], "out", napi_int32_array, &out)) {
    return NULL;
  }
  Window *mirror = atomic_load(&window->mirror);
  if (mirror == NULL) return throw_range(env, "no file is mapped privately in this window");
  size_t count = 0;
  for (size_t i = 0; i < runs.count; i++) {
    size_t first, pages;
    if (!read_run(&runs, i, &first, &pages)) return throw_range(env, RUNS_CHANGED);
    for (size_t page = first; page < first + pages; page++) {
      size_t at = page * PAGE_BYTES;
      if (memcmp(window_bytes(window) + at, window_bytes(mirror) + at, PAGE_BYTES) == 0) continue;
      if (count == out.length) return throw_range(env, "out must have room for every page");
      ((int32_t *)out.data)[count++] = (int32_t)page;
    }
  }
  return give_number(env, (double)count);
}
