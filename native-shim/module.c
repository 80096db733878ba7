/* The module: what JavaScript sees, once per environment (main thread and each worker). */
#include "shim.h"

#include <stdlib.h>
#include <unistd.h>

static const struct {
  const char *name;
  napi_callback call;
} FUNCTIONS[] = {
    {"reserve", shim_reserve},
    {"map", shim_map},
    {"unmap", shim_unmap},
    {"close", shim_close},
    {"sync", shim_sync},
    {"drop", shim_drop},
    {"expect", shim_expect},
    {"faults", shim_faults},
    {"dirtyRuns", shim_dirty_runs},
    {"changedPages", shim_changed_pages},
    {"gather", shim_gather},
    {"scatter", shim_scatter},
    {"readPages", shim_read_pages},
    {"lock", shim_lock},
    {"unlock", shim_unlock},
    {"fallocate", shim_fallocate},
    {"punchHole", shim_punch_hole},
    {"clone", shim_clone},
    {"exchange", shim_exchange},
    {"sizeOf", shim_size_of},
    {"crc32c", shim_crc32c},
};

static void free_environment(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  Environment *environment = data;
  window_let_go_doubtful(environment->doubtful);
  free(environment);
}

static bool set_value(napi_env env, napi_value exports, const char *name, napi_value value) {
  return value != NULL && napi_set_named_property(env, exports, name, value) == napi_ok;
}

static bool set_functions(napi_env env, napi_value exports) {
  for (size_t i = 0; i < sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]); i++) {
    napi_value call = NULL;
    napi_create_function(env, FUNCTIONS[i].name, NAPI_AUTO_LENGTH, FUNCTIONS[i].call, NULL, &call);
    if (!set_value(env, exports, FUNCTIONS[i].name, call)) return false;
  }
  return true;
}

NAPI_MODULE_INIT() {
  dirty_start();
  crc32c_start();
  Environment *environment = calloc(1, sizeof(Environment));
  if (environment == NULL ||
      napi_set_instance_data(env, environment, free_environment, NULL) != napi_ok) {
    free(environment);
    napi_throw_error(env, "ENOMEM", "native-shim: no memory for this environment");
    return NULL;
  }
  napi_value scanner = NULL;
  napi_create_string_utf8(env, dirty_scanner(), NAPI_AUTO_LENGTH, &scanner);
  bool made = set_functions(env, exports) &&
              set_value(env, exports, "pageBytes", give_number(env, sysconf(_SC_PAGESIZE))) &&
              set_value(env, exports, "pagemap", give_boolean(env, dirty_available())) &&
              set_value(env, exports, "scanner", scanner);
  if (!made) napi_throw_error(env, NULL, "native-shim: exports cannot be set");
  return exports;
}
