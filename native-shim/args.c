/*
 * Arguments from JavaScript, and errors to it. A wrong type is a TypeError, a number outside its
 * range a RangeError, a refusal of the system an Error with `code`, `errno` (negative, as Node has
 * it) and `syscall`.
 */
#include "shim.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
  int number;
  const char *name;
} ERROR_NAMES[] = {
    {EACCES, "EACCES"}, {EAGAIN, "EAGAIN"}, {EBADF, "EBADF"}, {EBUSY, "EBUSY"},
    {EDEADLK, "EDEADLK"}, {EDQUOT, "EDQUOT"}, {EEXIST, "EEXIST"}, {EFAULT, "EFAULT"},
    {EFBIG, "EFBIG"}, {EINTR, "EINTR"}, {EINVAL, "EINVAL"}, {EIO, "EIO"}, {EISDIR, "EISDIR"},
    {EMFILE, "EMFILE"}, {ENFILE, "ENFILE"}, {ENODEV, "ENODEV"}, {ENOENT, "ENOENT"},
    {ENOLCK, "ENOLCK"}, {ENOMEM, "ENOMEM"}, {ENOSPC, "ENOSPC"}, {ENOSYS, "ENOSYS"},
    {ENOTDIR, "ENOTDIR"}, {ENOTTY, "ENOTTY"}, {ENXIO, "ENXIO"}, {EOPNOTSUPP, "EOPNOTSUPP"},
    {EOVERFLOW, "EOVERFLOW"}, {EPERM, "EPERM"}, {EPIPE, "EPIPE"}, {EROFS, "EROFS"},
    {ESPIPE, "ESPIPE"}, {ESTALE, "ESTALE"}, {ETIMEDOUT, "ETIMEDOUT"}, {ETXTBSY, "ETXTBSY"},
    {EXDEV, "EXDEV"}, {EUCLEAN, "EUCLEAN"},
};

napi_value throw_type(napi_env env, const char *message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return NULL;
}

napi_value throw_range(napi_env env, const char *message) {
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
  return NULL;
}

static const char *error_name(int error) {
  for (size_t i = 0; i < sizeof(ERROR_NAMES) / sizeof(ERROR_NAMES[0]); i++) {
    if (ERROR_NAMES[i].number == error) return ERROR_NAMES[i].name;
  }
  return "EUNKNOWN";
}

napi_value throw_system(napi_env env, int error, const char *syscall) {
  char message[160];
  snprintf(message, sizeof(message), "%s: %s, %s", error_name(error), strerror(error), syscall);
  napi_value code, text, failure, number, call;
  bool made = napi_create_string_utf8(env, error_name(error), NAPI_AUTO_LENGTH, &code) == napi_ok &&
              napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text) == napi_ok &&
              napi_create_error(env, code, text, &failure) == napi_ok &&
              napi_create_int32(env, -error, &number) == napi_ok &&
              napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &call) == napi_ok &&
              napi_set_named_property(env, failure, "errno", number) == napi_ok &&
              napi_set_named_property(env, failure, "syscall", call) == napi_ok;
  if (!made) napi_throw_error(env, error_name(error), message);
  else napi_throw(env, failure);
  return NULL;
}

napi_value give_number(napi_env env, double number) {
  napi_value value = NULL;
  napi_create_double(env, number, &value);
  return value;
}

napi_value give_boolean(napi_env env, bool boolean) {
  napi_value value = NULL;
  napi_get_boolean(env, boolean, &value);
  return value;
}

bool take_arguments(napi_env env, napi_callback_info info, napi_value *values, size_t count) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok) return true;
  throw_type(env, "the arguments cannot be read");
  return false;
}

static bool refuse(napi_env env, bool is_type, const char *name, const char *expected) {
  char message[160];
  snprintf(message, sizeof(message), "%s must be %s", name, expected);
  if (is_type) throw_type(env, message);
  else throw_range(env, message);
  return false;
}

/* A whole number in 0 … limit. */
bool take_integer(napi_env env, napi_value value, const char *name, double limit, uint64_t *out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    return refuse(env, true, name, "a number");
  }
  if (!(number >= 0) || number > limit || number != floor(number)) {
    char expected[64];
    snprintf(expected, sizeof(expected), "a whole number from 0 to %.0f", limit);
    return refuse(env, false, name, expected);
  }
  *out = (uint64_t)number;
  return true;
}

bool take_boolean(napi_env env, napi_value value, const char *name, bool *out) {
  if (napi_get_value_bool(env, value, out) == napi_ok) return true;
  return refuse(env, true, name, "a boolean");
}

bool take_descriptor(napi_env env, napi_value value, int *out) {
  uint64_t number;
  if (!take_integer(env, value, "fd", INT32_MAX, &number)) return false;
  *out = (int)number;
  return true;
}

bool take_path(napi_env env, napi_value value, const char *name, Path *out) {
  char message[96];
  size_t length;
  if (napi_get_value_string_utf8(env, value, out->text, sizeof(out->text), &length) != napi_ok) {
    snprintf(message, sizeof(message), "%s must be a string", name);
    return throw_type(env, message) != NULL;
  }
  if (length < sizeof(out->text) - 1 && strlen(out->text) == length) return true;
  snprintf(message, sizeof(message), "%s must be shorter than %zu bytes and without NUL", name,
           sizeof(out->text) - 1);
  return throw_range(env, message) != NULL;
}

/* Both are safe integers, so their sum stays far below the largest file offset. */
bool take_file_range(napi_env env, napi_value at, napi_value bytes, uint64_t *at_out,
                     uint64_t *bytes_out) {
  const double safe = 9007199254740991.0;
  return take_integer(env, at, "at", safe, at_out) &&
         take_integer(env, bytes, "bytes", safe, bytes_out);
}

bool take_window(napi_env env, napi_value value, Window **out) {
  bool is_buffer = false;
  void *data = NULL;
  size_t bytes = 0;
  if (napi_is_arraybuffer(env, value, &is_buffer) != napi_ok || !is_buffer) {
    return refuse(env, true, "window", "an ArrayBuffer made by reserve()");
  }
  napi_get_arraybuffer_info(env, value, &data, &bytes);
  Window *window = data == NULL || bytes == 0 ? NULL : window_find((uintptr_t)data);
  if (window == NULL || window_bytes(window) != data || atomic_load(&window->bytes) != bytes) {
    return refuse(env, true, "window", "an ArrayBuffer made by reserve() that is still open");
  }
  *out = window;
  return true;
}

bool take_window_range(napi_env env, const Window *window, napi_value at, napi_value bytes,
                       size_t *at_out, size_t *bytes_out) {
  uint64_t from, length;
  size_t limit = atomic_load(&window->bytes);
  if (!take_integer(env, at, "at", (double)limit, &from)) return false;
  if (!take_integer(env, bytes, "bytes", (double)(limit - from), &length)) return false;
  if (from % PAGE_BYTES != 0 || length % PAGE_BYTES != 0) {
    return refuse(env, false, "at and bytes", "multiples of the page size");
  }
  *at_out = from;
  *bytes_out = length;
  return true;
}

/*
 * Views of shared memory are refused: another thread could change page numbers after they were
 * checked. A detached view has length 0.
 */
bool take_array(napi_env env, napi_value value, const char *name, napi_typedarray_type type,
                Array *out) {
  bool is_array = false;
  bool is_plain = false;
  napi_typedarray_type found;
  napi_value buffer = NULL;
  const char *expected = type == napi_uint8_array    ? "a Uint8Array (not of shared memory)"
                         : type == napi_uint32_array ? "a Uint32Array (not of shared memory)"
                                                     : "an Int32Array (not of shared memory)";
  if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array ||
      napi_get_typedarray_info(env, value, &found, &out->length, &out->data, &buffer, NULL) !=
          napi_ok ||
      found != type || napi_is_arraybuffer(env, buffer, &is_plain) != napi_ok || !is_plain) {
    return refuse(env, true, name, expected);
  }
  if (out->data == NULL) out->length = 0;
  return true;
}

/*
 * Reads each number once and checks it. Needed again where a run is used: the array may lie in the
 * window that is dropped, or be the one that results are written to.
 */
bool read_run(const Runs *runs, size_t index, size_t *first, size_t *pages) {
  int64_t from = ((const volatile int32_t *)runs->pairs)[2 * index];
  int64_t count = ((const volatile int32_t *)runs->pairs)[2 * index + 1];
  if (from < 0 || count < 0 || from + count > (int64_t)runs->limit) return false;
  *first = (size_t)from;
  *pages = (size_t)count;
  return true;
}

bool take_runs(napi_env env, napi_value runs, napi_value count, const Window *window, Runs *out) {
  Array array;
  uint64_t number;
  if (!take_array(env, runs, "runs", napi_int32_array, &array)) return false;
  if (!take_integer(env, count, "runCount", (double)(array.length / 2), &number)) return false;
  out->pairs = array.data;
  out->count = number;
  out->limit = atomic_load(&window->bytes) / PAGE_BYTES;
  size_t first, pages;
  for (size_t i = 0; i < out->count; i++) {
    if (!read_run(out, i, &first, &pages)) {
      return refuse(env, false, "runs", "page runs inside the window");
    }
  }
  return true;
}

/* A list of page numbers, each below `page_limit`; the array's length becomes their count. */
bool take_pages(napi_env env, napi_value list, napi_value count, int32_t page_limit, Array *out) {
  uint64_t number;
  if (!take_array(env, list, "list", napi_int32_array, out)) return false;
  if (!take_integer(env, count, "count", (double)out->length, &number)) return false;
  out->length = number;
  const int32_t *pages = out->data;
  for (size_t i = 0; i < out->length; i++) {
    if (pages[i] < 0 || pages[i] >= page_limit) {
      return refuse(env, false, "list", "page numbers inside the window or file");
    }
  }
  return true;
}
