/*
 * native-shim: the system calls regionstore needs and Node.js does not offer. Plain C over Node-API
 * version 8, so that one binary serves every Node from 20 on. It knows nothing of the file format.
 *
 * Invariants: S1 an argument from JavaScript is checked before it is used, so that no call can
 * crash the process; S2 every address of a window is mapped from reserve() until both of its
 * finalizers ran; S3 an error of the system is thrown, or is a documented `false`.
 */
#ifndef REGIONSTORE_SHIM_H
#define REGIONSTORE_SHIM_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096u
#define WINDOW_LIMIT ((size_t)1 << 32)
#define RUNS_CHANGED "page numbers changed while they were used: keep them out of the window"

/* registry.c: every window of the process, readable from a signal handler. */
typedef struct Window {
  struct Window *next;
  struct Window *next_doubtful;
  atomic_uint version; /* odd while base and bytes change */
  atomic_uintptr_t base;
  atomic_size_t bytes;
  atomic_uint faults;
  atomic_int holders; /* finalizers that have not run yet */
  _Atomic(struct Window *) mirror; /* see mirror.c */
} Window;

Window *window_register(void *base, size_t bytes, int holders);
void window_let_go(Window *window);
void window_let_go_doubtful(Window *window);
Window *window_find(uintptr_t address);

/* args.c: arguments and errors. Each take_… returns false with an exception pending. */
typedef struct {
  const int32_t *pairs;
  size_t count;
  size_t limit; /* pages of the window */
} Runs;

typedef struct {
  void *data;
  size_t length; /* elements */
} Array;

typedef struct {
  char text[4096];
} Path;

/* Per environment (main thread or worker). */
typedef struct {
  Window *doubtful; /* see wrap() in window.c */
} Environment;

bool take_arguments(napi_env env, napi_callback_info info, napi_value *values, size_t count);
bool take_integer(napi_env env, napi_value value, const char *name, double limit, uint64_t *out);
bool take_boolean(napi_env env, napi_value value, const char *name, bool *out);
bool take_descriptor(napi_env env, napi_value value, int *out);
bool take_path(napi_env env, napi_value value, const char *name, Path *out);
bool take_file_range(napi_env env, napi_value at, napi_value bytes, uint64_t *at_out,
                     uint64_t *bytes_out);
bool take_window(napi_env env, napi_value value, Window **out);
bool take_window_range(napi_env env, const Window *window, napi_value at, napi_value bytes,
                       size_t *at_out, size_t *bytes_out);
bool take_array(napi_env env, napi_value value, const char *name, napi_typedarray_type type,
                Array *out);
bool take_runs(napi_env env, napi_value runs, napi_value count, const Window *window, Runs *out);
bool read_run(const Runs *runs, size_t index, size_t *first, size_t *pages);
bool take_pages(napi_env env, napi_value list, napi_value count, int32_t page_limit, Array *out);
napi_value throw_type(napi_env env, const char *message);
napi_value throw_range(napi_env env, const char *message);
napi_value throw_system(napi_env env, int error, const char *syscall);
napi_value give_number(napi_env env, double number);
napi_value give_boolean(napi_env env, bool boolean);
unsigned char *window_bytes(const Window *window);

/* crc32c.c */
void crc32c_start(void);
uint32_t crc32c(const unsigned char *data, size_t bytes, uint32_t seed);

/* dirty.c: opens pagemap and finds out what it can do; once per process. */
void dirty_start(void);
bool dirty_available(void);
const char *dirty_scanner(void);

/* guard.c: installs the SIGBUS handler, once per process; 0 or an errno. */
int guard_install(void);

/* mirror.c: the file behind a private mapping, for comparing; 0 or an errno. */
int mirror_show(Window *window, size_t at, size_t bytes, int fd, uint64_t file_at);
int mirror_hide(Window *window, size_t at, size_t bytes);
unsigned mirror_faults(const Window *window);

/* The functions that JavaScript sees, by file. */
napi_value shim_reserve(napi_env env, napi_callback_info info); /* window.c */
napi_value shim_map(napi_env env, napi_callback_info info);
napi_value shim_unmap(napi_env env, napi_callback_info info);
napi_value shim_close(napi_env env, napi_callback_info info);
napi_value shim_sync(napi_env env, napi_callback_info info);
napi_value shim_drop(napi_env env, napi_callback_info info);
napi_value shim_expect(napi_env env, napi_callback_info info);
napi_value shim_faults(napi_env env, napi_callback_info info);
napi_value shim_dirty_runs(napi_env env, napi_callback_info info); /* dirty.c */
napi_value shim_changed_pages(napi_env env, napi_callback_info info); /* mirror.c */
napi_value shim_gather(napi_env env, napi_callback_info info); /* pages.c */
napi_value shim_scatter(napi_env env, napi_callback_info info);
napi_value shim_read_pages(napi_env env, napi_callback_info info);
napi_value shim_lock(napi_env env, napi_callback_info info); /* file.c */
napi_value shim_unlock(napi_env env, napi_callback_info info);
napi_value shim_fallocate(napi_env env, napi_callback_info info);
napi_value shim_punch_hole(napi_env env, napi_callback_info info);
napi_value shim_clone(napi_env env, napi_callback_info info);
napi_value shim_exchange(napi_env env, napi_callback_info info);
napi_value shim_size_of(napi_env env, napi_callback_info info);
napi_value shim_crc32c(napi_env env, napi_callback_info info); /* crc32c.c */

#endif
