/*
 * Replays an allocation trace (a .vmt file, not compressed) through malloc: glibc's, or the one
 * that LD_PRELOAD puts in its place. The peer of the replay in JavaScript; both write the first and
 * the last byte of each block, or all of them. Prints which library serves malloc, nanoseconds per
 * operation of each repetition, then the peak footprint in bytes:
 *
 *   replay FILE REPETITIONS [notrim] [loop] [all]
 *
 * notrim: glibc keeps what is freed. loop: no allocator, what the loop itself costs. all: every
 * byte of a block is written, so that the footprint is that of a program that uses its blocks.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static unsigned char **blocks;
static int loop_only, touch_all;
static unsigned char scratch[1 << 16];

static void *get(size_t size, size_t alignment, int zero) {
  if (loop_only) return scratch + (size & 0x7ff0);
  if (alignment > 16) {
    void *p = NULL;
    if (posix_memalign(&p, alignment, size)) return NULL;
    if (zero) memset(p, 0, size);
    return p;
  }
  return zero ? calloc(1, size ? size : 1) : malloc(size ? size : 1);
}

static void mark(unsigned char *p, uint32_t size) {
  if (!p) abort();
  if (size == 0) return;
  if (loop_only) size = (size & 0x7fff) | 1;
  if (touch_all) memset(p, 1, size);
  p[0] = 1;
  p[size - 1] = 2;
}

static void replay(const uint32_t *r, const uint32_t *end) {
  size_t alignment = 0;
  for (; r < end; r += 2) {
    uint32_t slot = r[0] >> 3, size = r[1];
    switch (r[0] & 3) {
      case 0:
        blocks[slot] = get(size, alignment, r[0] & 4);
        alignment = 0;
        mark(blocks[slot], size);
        break;
      case 1:
        if (!loop_only) free(blocks[slot]);
        blocks[slot] = NULL;
        break;
      case 2:
        if (!loop_only) blocks[slot] = realloc(blocks[slot], size ? size : 1);
        mark(blocks[slot], size);
        break;
      default:
        alignment = size;
    }
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Peak resident bytes. Not ru_maxrss: that survives exec and tells of the parent. */
static long resident(void) {
  FILE *status = fopen("/proc/self/status", "r");
  char line[256];
  long kib = 0;
  while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %ld", &kib);
  if (status) fclose(status);
  return kib * 1024L;
}

static void *map(size_t bytes) {
  void *p = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

/* A preload that the loader refuses is only a line on stderr; this one is certain. */
static void tell_library(void) {
  Dl_info info;
  void *address = dlsym(RTLD_DEFAULT, "malloc");
  printf("malloc %s\n", address && dladdr(address, &info) ? info.dli_fname : "unknown");
}

static int fill(int fd, uint32_t *words, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    ssize_t n = read(fd, (char *)words + done, bytes - done);
    if (n <= 0) return 0;
    done += (size_t)n;
  }
  return 1;
}

int main(int argc, char **argv) {
  int trims = 1;
  if (argc < 3) return 2;
  for (int i = 3; i < argc; i++) {
    if (!strcmp(argv[i], "notrim")) trims = 0;
    else if (!strcmp(argv[i], "loop")) loop_only = 1;
    else if (!strcmp(argv[i], "all")) touch_all = 1;
    else return 2;
  }
  int fd = open(argv[1], O_RDONLY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st)) return 3;
  uint32_t *w = map(st.st_size);
  if (!w || !fill(fd, w, st.st_size)) return 3;
  uint32_t slots = w[3], operations = w[4];
  const uint32_t *first = w + w[1], *end = first + 2 * (size_t)w[2];
  blocks = map(slots * sizeof *blocks);
#ifdef __GLIBC__
  if (!trims) {
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
  }
#endif
  (void)trims;
  tell_library();
  fflush(stdout);
  long base = resident();
  for (int i = atoi(argv[2]); i > 0; i--) {
    double begin = now();
    replay(first, end);
    printf("%.3f\n", (now() - begin) / (operations ? operations : 1));
    fflush(stdout);
    for (uint32_t s = 0; s < slots; s++)
      if (blocks[s]) {
        if (!loop_only) free(blocks[s]);
        blocks[s] = NULL;
      }
  }
  printf("footprint %ld\n", resident() - base);
  return 0;
}
