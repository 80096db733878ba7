/*
 * Which pages of a window are private copies: present or swapped, and not a page of a file. Read
 * from /proc/self/pagemap, through ioctl(PAGEMAP_SCAN) where the kernel has it (6.7 and later) and
 * both were seen to agree. The descriptor is opened when the shim is loaded and kept, because a
 * process that changes its user later may not open it any more.
 *
 * PAGEMAP_SCAN fills at most SCAN_RANGES at a time: its walk_end is wrong once more than 512 ranges
 * are asked for, so walk_end is not used; after a full vector the scan goes on behind the last
 * range.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From the kernel's user interface; headers older than 6.7 do not have it. */
struct scan_range {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};
struct scan_request {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;
  uint64_t ranges;
  uint64_t range_count;
  uint64_t max_pages;
  uint64_t inverted;
  uint64_t all_of;
  uint64_t any_of;
  uint64_t returned;
};
#define SCAN_REQUEST _IOWR('f', 16, struct scan_request)
#define SCAN_FILE (1u << 2)
#define SCAN_PRESENT (1u << 3)
#define SCAN_SWAPPED (1u << 4)
#define SCAN_RANGES 256

#define ENTRY_PRESENT (1ull << 63)
#define ENTRY_SWAPPED (1ull << 62)
#define ENTRY_FILE (1ull << 61)
#define READ_ENTRIES 8192

#define PROBE_PAGES 16

/* Page runs relative to `origin`, merged where they touch. */
typedef struct {
  uintptr_t origin;
  int32_t *pairs;
  size_t room;
  size_t count;
} Sink;

static int pagemap = -1;
static bool scan_usable;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool sink_add(Sink *sink, uintptr_t start, uintptr_t end) {
  int32_t first = (int32_t)((start - sink->origin) / PAGE_BYTES);
  int32_t pages = (int32_t)((end - start) / PAGE_BYTES);
  int32_t *last = sink->count == 0 ? NULL : sink->pairs + 2 * (sink->count - 1);
  if (last != NULL && last[0] + last[1] == first) {
    last[1] += pages;
    return true;
  }
  if (sink->count == sink->room) return false;
  sink->pairs[2 * sink->count] = first;
  sink->pairs[2 * sink->count + 1] = pages;
  sink->count++;
  return true;
}

/* 0, ENOBUFS when the sink is full, or the errno of the system. */
static int scan_ranges(uintptr_t start, uintptr_t end, Sink *sink) {
  /* Cleared only because valgrind does not know what this call writes. */
  struct scan_range ranges[SCAN_RANGES] = {{0}};
  while (start < end) {
    struct scan_request request;
    memset(&request, 0, sizeof(request));
    request.size = sizeof(request);
    request.start = start;
    request.end = end;
    request.ranges = (uintptr_t)ranges;
    request.range_count = SCAN_RANGES;
    request.inverted = SCAN_FILE;
    request.all_of = SCAN_FILE;
    request.any_of = SCAN_PRESENT | SCAN_SWAPPED;
    request.returned = SCAN_FILE;
    int found = ioctl(pagemap, SCAN_REQUEST, &request);
    if (found < 0 && errno == EINTR) continue;
    if (found < 0) return errno;
    for (int i = 0; i < found; i++) {
      if (!sink_add(sink, ranges[i].start, ranges[i].end)) return ENOBUFS;
    }
    if (found < SCAN_RANGES) return 0;
    start = ranges[found - 1].end;
  }
  return 0;
}

static int read_entries(uintptr_t start, size_t count, uint64_t *entries) {
  char *into = (char *)entries;
  size_t left = count * sizeof(uint64_t);
  off_t at = (off_t)(start / PAGE_BYTES * sizeof(uint64_t));
  while (left > 0) {
    ssize_t got = pread(pagemap, into, left, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return EIO;
    into += got;
    at += got;
    left -= (size_t)got;
  }
  return 0;
}

static bool is_copy(uint64_t entry) {
  return (entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) != 0 && (entry & ENTRY_FILE) == 0;
}

static int read_ranges(uintptr_t start, uintptr_t end, Sink *sink) {
  uint64_t entries[READ_ENTRIES];
  while (start < end) {
    size_t count = (end - start) / PAGE_BYTES;
    if (count > READ_ENTRIES) count = READ_ENTRIES;
    int error = read_entries(start, count, entries);
    if (error != 0) return error;
    for (size_t i = 0; i < count; i++) {
      uintptr_t page = start + i * PAGE_BYTES;
      if (is_copy(entries[i]) && !sink_add(sink, page, page + PAGE_BYTES)) return ENOBUFS;
    }
    start += count * PAGE_BYTES;
  }
  return 0;
}

/*
 * PROBE_PAGES of a file mapped privately, then as many anonymous pages; some written, some read.
 * Returns NULL where such a mapping cannot be made.
 */
static volatile unsigned char *make_probe(void) {
  size_t half = PROBE_PAGES * PAGE_BYTES;
  int fd = (int)syscall(SYS_memfd_create, "regionstore-probe", 1u /* close on exec */);
  if (fd < 0) return NULL;
  unsigned char *probe = mmap(NULL, 2 * half, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (probe != MAP_FAILED) {
    if (ftruncate(fd, (off_t)half) != 0 ||
        mmap(probe, half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
      munmap(probe, 2 * half);
      probe = MAP_FAILED;
    }
  }
  close(fd);
  return probe == MAP_FAILED ? NULL : probe;
}

static const int PROBE_WRITTEN[] = {1, 2, 5, PROBE_PAGES + 4};
static const int PROBE_READ[] = {3, 8};

static bool has_page(const Sink *sink, int page) {
  for (size_t i = 0; i < sink->count; i++) {
    int first = sink->pairs[2 * i];
    if (page >= first && page < first + sink->pairs[2 * i + 1]) return true;
  }
  return false;
}

static bool sees_probe(const Sink *sink) {
  for (size_t i = 0; i < sizeof(PROBE_WRITTEN) / sizeof(int); i++) {
    if (!has_page(sink, PROBE_WRITTEN[i])) return false;
  }
  for (size_t i = 0; i < sizeof(PROBE_READ) / sizeof(int); i++) {
    if (has_page(sink, PROBE_READ[i])) return false;
  }
  return !has_page(sink, 0) && !has_page(sink, PROBE_PAGES - 1);
}

static void judge(uintptr_t start) {
  uintptr_t end = start + 2 * PROBE_PAGES * PAGE_BYTES;
  int32_t read_pairs[4 * PROBE_PAGES], scan_pairs[4 * PROBE_PAGES];
  Sink by_read = {start, read_pairs, 2 * PROBE_PAGES, 0};
  Sink by_scan = {start, scan_pairs, 2 * PROBE_PAGES, 0};
  if (read_ranges(start, end, &by_read) != 0 || !sees_probe(&by_read)) {
    close(pagemap);
    pagemap = -1;
    return;
  }
  scan_usable = scan_ranges(start, end, &by_scan) == 0 && by_scan.count == by_read.count &&
                memcmp(scan_pairs, read_pairs, by_read.count * 2 * sizeof(int32_t)) == 0;
}

static void start_once(void) {
  pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return;
  volatile unsigned char *probe = make_probe();
  if (probe == NULL) return;
  for (size_t i = 0; i < sizeof(PROBE_READ) / sizeof(int); i++) {
    (void)probe[PROBE_READ[i] * PAGE_BYTES];
  }
  for (size_t i = 0; i < sizeof(PROBE_WRITTEN) / sizeof(int); i++) {
    probe[PROBE_WRITTEN[i] * PAGE_BYTES] = 1;
  }
  judge((uintptr_t)probe);
  munmap((void *)probe, 2 * PROBE_PAGES * PAGE_BYTES);
}

void dirty_start(void) {
  pthread_once(&once, start_once);
}

bool dirty_available(void) {
  return pagemap >= 0;
}

const char *dirty_scanner(void) {
  return pagemap < 0 ? "none" : scan_usable ? "scan" : "read";
}

napi_value shim_dirty_runs(napi_env env, napi_callback_info info) {
  napi_value values[5];
  Window *window;
  size_t at, bytes;
  Array out;
  bool by_reading = false;
  napi_valuetype given;
  if (!take_arguments(env, info, values, 5) || !take_window(env, values[0], &window) ||
      !take_window_range(env, window, values[1], values[2], &at, &bytes) ||
      !take_array(env, values[3], "out", napi_int32_array, &out)) {
    return NULL;
  }
  if (napi_typeof(env, values[4], &given) != napi_ok ||
      (given != napi_undefined && !take_boolean(env, values[4], "byReading", &by_reading))) {
    return NULL;
  }
  if (pagemap < 0) return throw_system(env, ENOSYS, "pagemap");
  uintptr_t base = (uintptr_t)window_bytes(window);
  Sink sink = {base, out.data, out.length / 2, 0};
  bool scans = scan_usable && !by_reading;
  int error = scans ? scan_ranges(base + at, base + at + bytes, &sink) : ENOSYS;
  if (error != 0 && error != ENOBUFS) {
    sink.count = 0;
    error = read_ranges(base + at, base + at + bytes, &sink);
  }
  if (error == ENOBUFS) return give_number(env, -1);
  if (error != 0) return throw_system(env, error, "pagemap");
  return give_number(env, (double)sink.count);
}
