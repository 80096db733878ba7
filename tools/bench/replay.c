/*
 * Replays an allocation trace (a .vmt file, not compressed) through malloc: glibc's, or the one that
 * LD_PRELOAD puts in its place. The peer of alloc-replay.ts; both write the first and the last byte of
 * each block. Prints nanoseconds per operation of each repetition, then the peak footprint in bytes.
 *
 *   replay FILE REPETITIONS time|notrim|loop|footprint
 */
#define _GNU_SOURCE
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
static uint32_t *sizes;
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
  return zero ? calloc(1, size) : malloc(size);
}

static void mark(unsigned char *p, uint32_t size) {
  if (!p) abort();
  if (size == 0) return;
  if (touch_all) memset(p, 1, size);
  if (loop_only) size = (size & 0x7fff) | 1;
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

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int fd = open(argv[1], O_RDONLY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st)) return 3;
  uint32_t *w = map(st.st_size);
  if (!w || read(fd, w, st.st_size) != st.st_size) return 3;
  uint32_t slots = w[3], operations = w[4];
  const uint32_t *first = w + w[1], *end = first + 2 * (size_t)w[2];
  blocks = map(slots * sizeof *blocks);
  sizes = map(slots * sizeof *sizes);
  loop_only = !strcmp(argv[3], "loop");
  touch_all = !strcmp(argv[3], "footprint");
#ifdef __GLIBC__
  if (!strcmp(argv[3], "notrim")) {
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
  }
#endif
  long base = resident();
  for (int i = atoi(argv[2]); i > 0; i--) {
    double begin = now();
    replay(first, end);
    printf("%.3f\n", (now() - begin) / operations);
    for (uint32_t s = 0; s < slots; s++)
      if (blocks[s]) {
        if (!loop_only) free(blocks[s]);
        blocks[s] = NULL;
      }
  }
  printf("footprint %ld\n", resident() - base);
  return 0;
}
