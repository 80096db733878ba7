/* Pages in bulk: compared with a file, copied out of a window, written to a file. */
#include "shim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned char *scratch_of(napi_env env) {
  Environment *environment = NULL;
  if (napi_get_instance_data(env, (void **)&environment) != napi_ok || environment == NULL) {
    return NULL;
  }
  if (environment->scratch == NULL) environment->scratch = malloc(CHUNK_PAGES * PAGE_BYTES);
  return environment->scratch;
}

/* What the file holds in a range; beyond its end it holds zeros. 0 or an errno. */
static int read_range(int fd, unsigned char *into, size_t bytes, uint64_t at) {
  size_t done = 0;
  while (done < bytes) {
    ssize_t got = pread(fd, into + done, bytes - done, (off_t)(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    done += (size_t)got;
  }
  memset(into + done, 0, bytes - done);
  return 0;
}

static int write_range(int fd, const unsigned char *from, size_t bytes, uint64_t at) {
  while (bytes > 0) {
    ssize_t put = pwrite(fd, from, bytes, (off_t)at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    if (put == 0) return EIO;
    from += put;
    at += (uint64_t)put;
    bytes -= (size_t)put;
  }
  return 0;
}

typedef struct {
  const unsigned char *memory;
  int fd;
  uint64_t file_at;
  unsigned char *scratch;
  int32_t *out;
  size_t count;
  size_t room;
} Compare;

static int compare_run(Compare *with, uint32_t first, uint32_t pages) {
  for (uint32_t end = first + pages; first < end;) {
    uint32_t some = end - first < CHUNK_PAGES ? end - first : CHUNK_PAGES;
    uint64_t at = with->file_at + (uint64_t)first * PAGE_BYTES;
    int error = read_range(with->fd, with->scratch, (size_t)some * PAGE_BYTES, at);
    if (error != 0) return error;
    for (uint32_t i = 0; i < some; i++, first++) {
      const unsigned char *page = with->memory + (size_t)first * PAGE_BYTES;
      if (memcmp(page, with->scratch + (size_t)i * PAGE_BYTES, PAGE_BYTES) != 0) {
        if (with->count == with->room) return ENOBUFS;
        with->out[with->count++] = (int32_t)first;
      }
    }
  }
  return 0;
}

napi_value shim_changed_pages(napi_env env, napi_callback_info info) {
  napi_value values[6];
  Window *window;
  int fd;
  uint64_t file_at;
  Runs runs;
  Array out;
  if (!take_arguments(env, info, values, 6) || !take_window(env, values[0], &window) ||
      !take_descriptor(env, values[1], &fd) ||
      !take_integer(env, values[2], "fileAt", 9007199254740991.0, &file_at) ||
      !take_runs(env, values[3], values[4], window, &runs) ||
      !take_array(env, values[5], "out", napi_int32_array, &out)) {
    return NULL;
  }
  size_t pages = 0;
  for (size_t i = 0, first, count; i < runs.count; i++) {
    if (read_run(&runs, i, &first, &count)) pages += count;
  }
  if (pages > out.length) return throw_range(env, "out must have room for every page of the runs");
  unsigned char *scratch = scratch_of(env);
  if (scratch == NULL) return throw_system(env, ENOMEM, "malloc");
  Compare compare = {window_bytes(window), fd, file_at, scratch, out.data, 0, out.length};
  for (size_t i = 0; i < runs.count; i++) {
    size_t first, count;
    if (!read_run(&runs, i, &first, &count)) return throw_range(env, RUNS_CHANGED);
    int error = compare_run(&compare, (uint32_t)first, (uint32_t)count);
    if (error == ENOBUFS) return throw_range(env, RUNS_CHANGED);
    if (error != 0) return throw_system(env, error, "pread");
  }
  return give_number(env, (double)compare.count);
}

/* Is `out` a place for `count` page images from `at` on? */
static bool take_images(napi_env env, napi_value images, napi_value at, size_t count, Array *array,
                        size_t *at_out) {
  uint64_t from;
  if (!take_array(env, images, "images", napi_uint8_array, array)) return false;
  if (!take_integer(env, at, "imagesAt", (double)array->length, &from)) return false;
  if ((array->length - from) / PAGE_BYTES < count) {
    throw_range(env, "the images must lie inside the array");
    return false;
  }
  *at_out = from;
  return true;
}

napi_value shim_gather(napi_env env, napi_callback_info info) {
  napi_value values[6];
  Window *window;
  Array list, out, crcs;
  size_t at;
  if (!take_arguments(env, info, values, 6) || !take_window(env, values[0], &window)) return NULL;
  int32_t limit = (int32_t)(atomic_load(&window->bytes) / PAGE_BYTES);
  if (!take_pages(env, values[1], values[2], limit, &list) ||
      !take_images(env, values[3], values[4], list.length, &out, &at) ||
      !take_array(env, values[5], "crcs", napi_uint32_array, &crcs)) {
    return NULL;
  }
  if (crcs.length < list.length) return throw_range(env, "crcs must have room for every page");
  const volatile int32_t *pages = list.data;
  for (size_t i = 0; i < list.length; i++) {
    unsigned char *to = (unsigned char *)out.data + at + i * PAGE_BYTES;
    int32_t page = pages[i];
    if (page < 0 || page >= limit) return throw_range(env, RUNS_CHANGED);
    memmove(to, window_bytes(window) + (size_t)page * PAGE_BYTES, PAGE_BYTES);
    ((uint32_t *)crcs.data)[i] = crc32c(to, PAGE_BYTES, 0);
  }
  return NULL;
}

napi_value shim_scatter(napi_env env, napi_callback_info info) {
  napi_value values[6];
  int fd;
  uint64_t file_at;
  Array list, images;
  size_t at;
  if (!take_arguments(env, info, values, 6) || !take_descriptor(env, values[0], &fd) ||
      !take_integer(env, values[1], "fileAt", 9007199254740991.0, &file_at) ||
      !take_pages(env, values[2], values[3], INT32_MAX, &list) ||
      !take_images(env, values[4], values[5], list.length, &images, &at)) {
    return NULL;
  }
  const int32_t *pages = list.data;
  const unsigned char *from = (unsigned char *)images.data + at;
  for (size_t i = 0; i < list.length;) {
    size_t end = i + 1;
    while (end < list.length && pages[end] == pages[end - 1] + 1) end++;
    size_t bytes = (end - i) * PAGE_BYTES;
    int error = write_range(fd, from, bytes, file_at + (uint64_t)pages[i] * PAGE_BYTES);
    if (error != 0) return throw_system(env, error, "pwrite");
    from += bytes;
    i = end;
  }
  return NULL;
}
