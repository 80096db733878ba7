/*
 * What recorder.c decides and remembers: which files are watched, the log, the faults to inject and
 * the commands that ask for them. Part of that one program; it is included nowhere else.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, SIZE, ZERO, RENAME, UNLINK, MKDIR, RMDIR, LINK, SYNC, SYNC_DIR, MARK,
            UNSUPPORTED, LOST };
enum cls { C_WRITE, C_SIZE, C_META, C_NEW, C_SYNC };
enum fault { NONE, EIO_ONCE, EIO_FOREVER, FULL, SHORT, KILL };

struct head {
  uint32_t bytes, kind;
  uint64_t seq, ino;
  int64_t at, size;
  uint32_t path_bytes, path2_bytes, data_bytes, zero;
};

#define FDS 65536
#define REAL(ret, name, ...) static ret (*real_##name)(__VA_ARGS__)
REAL(int, open64, const char *, int, ...);
REAL(int, openat64, int, const char *, int, ...);
REAL(int, close, int);
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
REAL(ssize_t, pwritev64, int, const struct iovec *, int, off64_t);
REAL(ssize_t, writev, int, const struct iovec *, int);
REAL(int, ftruncate64, int, off64_t);
REAL(int, truncate64, const char *, off64_t);
REAL(int, fallocate64, int, int, off64_t, off64_t);
REAL(int, fsync, int);
REAL(int, fdatasync, int);
REAL(int, renameat2, int, const char *, int, const char *, unsigned);
REAL(int, unlinkat, int, const char *, int);
REAL(int, mkdirat, int, const char *, mode_t);
REAL(int, linkat, int, const char *, int, const char *, int);
REAL(void *, mmap64, void *, size_t, int, int, int, off64_t);
REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned);
REAL(ssize_t, sendfile64, int, int, off64_t *, size_t);
REAL(int, ioctl, int, unsigned long, ...);

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char *watched[FDS];
static char is_dir[FDS], is_mark[FDS];
static uint64_t opened[FDS];
static char dir[PATH_MAX], mark[PATH_MAX];
static size_t dir_bytes;
static int log_fd = -1;
static uint64_t seq, op_count, fault_at, fired;
static int fault_kind, armed, refuse_errno;
static char refuse_path[256], unsync_path[256], fired_what[512];

__attribute__((constructor)) static void start(void) {
#define LOAD(name) real_##name = dlsym(RTLD_NEXT, #name)
  LOAD(open64); LOAD(openat64); LOAD(close); LOAD(write); LOAD(pwrite64); LOAD(pwritev64);
  LOAD(writev); LOAD(ftruncate64); LOAD(truncate64); LOAD(fallocate64); LOAD(fsync);
  LOAD(fdatasync); LOAD(renameat2); LOAD(unlinkat); LOAD(mkdirat); LOAD(linkat); LOAD(mmap64);
  LOAD(copy_file_range); LOAD(sendfile64); LOAD(ioctl);
  const char *d = getenv("TORTURE_DIR"), *m = getenv("TORTURE_MARK"), *l = getenv("TORTURE_LOG");
  if (d) { snprintf(dir, sizeof dir, "%s", d); dir_bytes = strlen(dir); }
  if (m) snprintf(mark, sizeof mark, "%s", m);
  if (l && d) log_fd = real_open64(l, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void ready(void) { if (!real_open64) start(); }

static void record(enum kind kind, uint64_t ino, int64_t at, int64_t size, const char *path,
                   const char *path2, const struct iovec *data, size_t data_bytes) {
  if (log_fd < 0) return;
  size_t p = path ? strlen(path) : 0, p2 = path2 ? strlen(path2) : 0;
  struct head h = { sizeof h + p + p2 + data_bytes, kind, ++seq, ino, at, size, p, p2,
                    data_bytes, 0 };
  char *all = malloc(h.bytes), *to = all;
  memcpy(to, &h, sizeof h); to += sizeof h;
  memcpy(to, path, p); to += p;
  memcpy(to, path2, p2); to += p2;
  for (size_t left = data_bytes; left; data++) {
    size_t n = data->iov_len < left ? data->iov_len : left;
    memcpy(to, data->iov_base, n); to += n; left -= n;
  }
  for (size_t done = 0; done < h.bytes;) {
    ssize_t n = real_write(log_fd, all + done, h.bytes - done);
    if (n <= 0) abort();
    done += n;
  }
  free(all);
}

static int below(const char *path) {
  return dir_bytes && !strncmp(path, dir, dir_bytes) &&
         (path[dir_bytes] == '/' || path[dir_bytes] == 0);
}

static int absolute(int at, const char *path, char *out) {
  if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
  char base[PATH_MAX];
  if (at == AT_FDCWD) { if (!getcwd(base, sizeof base)) return 0; }
  else {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t n = readlink(link, base, sizeof base - 1);
    if (n < 0) return 0;
    base[n] = 0;
  }
  return snprintf(out, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static uint64_t inode(int fd) { struct stat s; return fstat(fd, &s) ? 0 : s.st_ino; }

/* A number that was closed past us stands for something else by now: it is let go of. */
static const char *watch(int fd) {
  if (fd < 0 || fd >= FDS || is_mark[fd] || !watched[fd]) return 0;
  if (inode(fd) == opened[fd]) return watched[fd];
  watched[fd] = 0;
  return 0;
}

static void remember(const char *what, const char *path) {
  fired++;
  snprintf(fired_what, sizeof fired_what, "%s %s", what, path);
}

/* 0 = go on, an errno = fail with it, -1 = do half. Called with the lock held, once a call. */
static int inject(enum cls cls, const char *what, const char *path) {
  op_count++;
  if (refuse_errno && (cls == C_WRITE || cls == C_SIZE || (cls == C_SYNC && refuse_errno == EIO)) &&
      strstr(path, refuse_path)) {
    remember(what, path);
    return refuse_errno;
  }
  if (!armed || op_count < fault_at) return 0;
  int first = op_count == fault_at;
  switch (fault_kind) {
    case EIO_ONCE: if (!first) return 0; remember(what, path); return EIO;
    case EIO_FOREVER: remember(what, path); return EIO;
    case FULL:
      if (cls == C_META || (cls == C_SYNC && !first)) return 0;
      remember(what, path);
      return ENOSPC;
    case SHORT: if (!first || cls != C_WRITE) return 0; remember(what, path); return -1;
    case KILL: if (first) kill(getpid(), SIGKILL); return 0;
  }
  return 0;
}

static void command(int fd, const char *text, size_t bytes) {
  char line[512], answer[700];
  unsigned long long n;
  int k;
  snprintf(line, sizeof line, "%.*s", (int)(bytes < 500 ? bytes : 500), text);
  if (sscanf(line, "!fault %llu %d", &n, &k) == 2) {
    op_count = 0; fired = 0; fired_what[0] = 0; fault_at = n; fault_kind = k; armed = n > 0;
  } else if (sscanf(line, "!refuse %d %250s", &k, refuse_path) == 2) {
    refuse_errno = k;
  } else if (sscanf(line, "!unsync %250s", unsync_path) == 1) {
  } else if (!strncmp(line, "!clear", 6)) {
    armed = 0; refuse_errno = 0; unsync_path[0] = 0;
  } else if (!strncmp(line, "!count", 6)) {
    k = snprintf(answer, sizeof answer, "%llu %llu %s\n", (unsigned long long)op_count,
                 (unsigned long long)fired, fired_what);
    if (real_ftruncate64(fd, 0) || real_pwrite64(fd, answer, k, 0) != k) abort();
  } else abort();
}
