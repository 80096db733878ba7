/* Pages in bulk: copied out of a window, written to a file. */
#include "shim.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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

/* Reads a range; what lies behind the end of the file is zeros. */
static int read_range(int fd, unsigned char *to, size_t bytes, uint64_t at) {
  size_t done = 0;
  while (done < bytes) {
    ssize_t got = pread(fd, to + done, bytes - done, (off_t)(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    done += (size_t)got;
  }
  memset(to + done, 0, bytes - done);
  return 0;
}

napi_value shim_read_pages(napi_env env, napi_callback_info info) {
  napi_value values[7];
  int fd;
  uint64_t file_at;
  Array list, out, crcs;
  size_t at;
  if (!take_arguments(env, info, values, 7) || !take_descriptor(env, values[0], &fd) ||
      !take_integer(env, values[1], "fileAt", 9007199254740991.0, &file_at) ||
      !take_pages(env, values[2], values[3], INT32_MAX, &list) ||
      !take_images(env, values[4], values[5], list.length, &out, &at) ||
      !take_array(env, values[6], "crcs", napi_uint32_array, &crcs)) {
    return NULL;
  }
  if (crcs.length < list.length) return throw_range(env, "crcs must have room for every page");
  const int32_t *pages = list.data;
  for (size_t i = 0; i < list.length;) {
    size_t end = i + 1;
    while (end < list.length && pages[end] == pages[end - 1] + 1) end++;
    unsigned char *to = (unsigned char *)out.data + at + i * PAGE_BYTES;
    uint64_t from = file_at + (uint64_t)pages[i] * PAGE_BYTES;
    int error = read_range(fd, to, (end - i) * PAGE_BYTES, from);
    if (error != 0) return throw_system(env, error, "pread");
    for (; i < end; i++, to += PAGE_BYTES) ((uint32_t *)crcs.data)[i] = crc32c(to, PAGE_BYTES, 0);
  }
  return NULL;
}
