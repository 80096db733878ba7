/*
 * LD_PRELOAD recorder and fault injector of the crash tests. It sees what a process asks of the
 * file system below TORTURE_DIR, in one order (a lock is held around each call), and
 *   - appends each operation that succeeded, with its bytes, to TORTURE_LOG (log.ts reads it),
 *   - counts operations and makes the n-th fail, where a command in TORTURE_MARK asks for it.
 * Writes to the file TORTURE_MARK never reach it: "!..." is a command, anything else is a mark that
 * goes into the log at its place in the order. What the recorder could not follow (shared writable
 * maps, raw system calls on a watched file) is logged as `unsupported`, so that nothing is missed
 * silently. After ALICE (Pillai et al., OSDI 2014) and CrashMonkey (Mohan et al., OSDI 2018).
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
            UNSUPPORTED };
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
static char dir[PATH_MAX], mark[PATH_MAX];
static size_t dir_bytes;
static int log_fd = -1;
static uint64_t seq, op_count, fault_at, fired;
static int fault_kind, armed, refuse_errno;
static char refuse_path[256], fired_what[512];

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

static const char *watch(int fd) {
  return fd >= 0 && fd < FDS && !is_mark[fd] ? watched[fd] : 0;
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
  } else if (!strncmp(line, "!clear", 6)) {
    armed = 0; refuse_errno = 0;
  } else if (!strncmp(line, "!count", 6)) {
    k = snprintf(answer, sizeof answer, "%llu %llu %s\n", (unsigned long long)op_count,
                 (unsigned long long)fired, fired_what);
    if (real_ftruncate64(fd, 0) || real_pwrite64(fd, answer, k, 0) != k) abort();
  } else abort();
}

static size_t total(const struct iovec *v, int n) {
  size_t sum = 0;
  for (int i = 0; i < n; i++) sum += v[i].iov_len;
  return sum;
}

/* Every form of write. at < 0 = at the file's position. */
static ssize_t do_write(int fd, const struct iovec *v, int n, off64_t at) {
  ready();
  if (fd >= 0 && fd < FDS && is_mark[fd]) {
    pthread_mutex_lock(&lock);
    const char *text = v[0].iov_base;
    if (text[0] == '!') command(fd, text, v[0].iov_len);
    else record(MARK, 0, 0, 0, 0, 0, v, total(v, n));
    pthread_mutex_unlock(&lock);
    return total(v, n);
  }
  const char *path = watch(fd);
  if (!path) {
    if (at < 0) return n == 1 ? real_write(fd, v->iov_base, v->iov_len) : real_writev(fd, v, n);
    return n == 1 ? real_pwrite64(fd, v->iov_base, v->iov_len, at) : real_pwritev64(fd, v, n, at);
  }
  pthread_mutex_lock(&lock);
  int e = inject(C_WRITE, "write", path);
  ssize_t done = -1;
  if (e > 0) errno = e;
  else {
    struct iovec half = { v->iov_base, v->iov_len > 1 ? v->iov_len / 2 : v->iov_len };
    if (e < 0) { v = &half; n = 1; }
    if (at < 0) done = real_writev(fd, v, n); else done = real_pwritev64(fd, v, n, at);
    int saved = errno;
    if (done > 0) {
      off64_t from = at < 0 ? lseek64(fd, 0, SEEK_CUR) - done : at;
      record(WRITE, inode(fd), from, done, path, 0, v, done);
    }
    errno = saved;
  }
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t write(int fd, const void *b, size_t n) {
  struct iovec v = { (void *)b, n }; return do_write(fd, &v, 1, -1);
}
ssize_t writev(int fd, const struct iovec *v, int n) { return do_write(fd, v, n, -1); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) {
  struct iovec v = { (void *)b, n }; return do_write(fd, &v, 1, at);
}
ssize_t pwrite(int fd, const void *b, size_t n, off_t at) { return pwrite64(fd, b, n, at); }
ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at) {
  return do_write(fd, v, n, at);
}
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) { return do_write(fd, v, n, at); }
ssize_t pwritev64v2(int fd, const struct iovec *v, int n, off64_t at, int flags) {
  (void)flags; return do_write(fd, v, n, at);
}
ssize_t pwritev2(int fd, const struct iovec *v, int n, off_t at, int f) {
  return pwritev64v2(fd, v, n, at, f);
}

static int do_open(int at, const char *path, int flags, mode_t mode) {
  ready();
  char full[PATH_MAX];
  int changes = flags & (O_CREAT | O_TRUNC), mine = 0, existed = 1, e = 0;
  if (absolute(at, path, full)) mine = below(full) || (mark[0] && !strcmp(full, mark));
  if (!mine) return real_openat64(at, path, flags, mode);
  pthread_mutex_lock(&lock);
  int marks = mark[0] && !strcmp(full, mark);
  if (changes && !marks) {
    struct stat s;
    existed = !fstatat(at, path, &s, 0);
    if (!existed && (flags & O_CREAT)) e = inject(C_NEW, "create", full);
    else if (flags & O_TRUNC) e = inject(C_SIZE, "truncate", full);
  }
  int fd = -1;
  if (e > 0) errno = e; else fd = real_openat64(at, path, flags, mode);
  int saved = errno;
  if (fd >= 0 && fd < FDS) {
    struct stat s;
    fstat(fd, &s);
    free(watched[fd]);
    watched[fd] = strdup(full);
    is_dir[fd] = S_ISDIR(s.st_mode);
    is_mark[fd] = marks;
    if (!existed) record(CREATE, s.st_ino, 0, 0, full, 0, 0, 0);
    else if (!marks && (flags & O_TRUNC)) record(SIZE, s.st_ino, 0, 0, full, 0, 0, 0);
  }
  errno = saved;
  pthread_mutex_unlock(&lock);
  return fd;
}

#define MODE(flags) mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list a; va_start(a, flags); mode = va_arg(a, mode_t); va_end(a); }
int open64(const char *p, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, p, flags, mode); }
int open(const char *p, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, p, flags, mode); }
int openat64(int at, const char *p, int flags, ...) {
  MODE(flags) return do_open(at, p, flags, mode); }
int openat(int at, const char *p, int flags, ...) {
  MODE(flags) return do_open(at, p, flags, mode); }
int creat64(const char *p, mode_t m) {
  return do_open(AT_FDCWD, p, O_CREAT | O_WRONLY | O_TRUNC, m);
}
int creat(const char *p, mode_t m) { return creat64(p, m); }

int close(int fd) {
  ready();
  if (fd < 0 || fd >= FDS || !watched[fd]) return real_close(fd);
  pthread_mutex_lock(&lock);
  free(watched[fd]);
  watched[fd] = 0;
  is_dir[fd] = is_mark[fd] = 0;
  int r = real_close(fd);
  pthread_mutex_unlock(&lock);
  return r;
}

static int do_resize(int fd, int mode, off64_t at, off64_t bytes, int allocate) {
  ready();
  const char *path = watch(fd);
  if (!path) return allocate ? real_fallocate64(fd, mode, at, bytes) : real_ftruncate64(fd, bytes);
  pthread_mutex_lock(&lock);
  int e = inject(mode & FALLOC_FL_PUNCH_HOLE ? C_META : C_SIZE, "resize", path), r = -1;
  if (e) errno = e > 0 ? e : EINTR;
  else {
    r = allocate ? real_fallocate64(fd, mode, at, bytes) : real_ftruncate64(fd, bytes);
    int saved = errno;
    struct stat s;
    fstat(fd, &s);
    if (!r && (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
      record(UNSUPPORTED, s.st_ino, 0, 0, path, 0, 0, 0);
    else if (!r) {
      if (mode & ~FALLOC_FL_KEEP_SIZE) record(ZERO, s.st_ino, at, bytes, path, 0, 0, 0);
      else record(SIZE, s.st_ino, 0, s.st_size, path, 0, 0, 0);
    }
    errno = saved;
  }
  pthread_mutex_unlock(&lock);
  return r;
}
int ftruncate64(int fd, off64_t n) { return do_resize(fd, 0, 0, n, 0); }
int ftruncate(int fd, off_t n) { return do_resize(fd, 0, 0, n, 0); }
int fallocate64(int fd, int m, off64_t at, off64_t n) { return do_resize(fd, m, at, n, 1); }
int fallocate(int fd, int m, off_t at, off_t n) { return do_resize(fd, m, at, n, 1); }
int posix_fallocate64(int fd, off64_t at, off64_t n) {
  int saved = errno, r = do_resize(fd, 0, at, n, 1), e = errno;
  errno = saved;
  return r ? e : 0;
}
int posix_fallocate(int fd, off_t at, off_t n) { return posix_fallocate64(fd, at, n); }

int truncate64(const char *path, off64_t n) {
  ready();
  char full[PATH_MAX];
  if (absolute(AT_FDCWD, path, full) && below(full)) {
    int fd = open64(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int r = ftruncate64(fd, n), saved = errno;
    close(fd);
    errno = saved;
    return r;
  }
  return real_truncate64(path, n);
}
int truncate(const char *path, off_t n) { return truncate64(path, n); }

static int do_sync(int fd, int (*real)(int)) {
  const char *path = watch(fd);
  if (!path) return real(fd);
  pthread_mutex_lock(&lock);
  int e = inject(C_SYNC, "fsync", path), r = -1;
  if (e > 0) errno = e;
  else {
    r = real(fd);
    int saved = errno;
    if (!r) record(is_dir[fd] ? SYNC_DIR : SYNC, inode(fd), 0, 0, path, 0, 0, 0);
    errno = saved;
  }
  pthread_mutex_unlock(&lock);
  return r;
}
int fsync(int fd) { ready(); return do_sync(fd, real_fsync); }
int fdatasync(int fd) { ready(); return do_sync(fd, real_fdatasync); }

int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  ready();
  char f[PATH_MAX], t[PATH_MAX];
  if (!absolute(a, from, f) || !absolute(b, to, t) || (!below(f) && !below(t)))
    return real_renameat2(a, from, b, to, flags);
  pthread_mutex_lock(&lock);
  int e = inject(C_META, "rename", f), r = -1;
  if (e > 0) errno = e;
  else {
    r = real_renameat2(a, from, b, to, flags);
    int saved = errno;
    if (!r) record(flags & ~RENAME_NOREPLACE ? UNSUPPORTED : RENAME, 0, 0, 0, f, t, 0, 0);
    errno = saved;
  }
  pthread_mutex_unlock(&lock);
  return r;
}
int renameat(int a, const char *f, int b, const char *t) { return renameat2(a, f, b, t, 0); }
int rename(const char *f, const char *t) { return renameat2(AT_FDCWD, f, AT_FDCWD, t, 0); }

int unlinkat(int at, const char *path, int flags) {
  ready();
  char full[PATH_MAX];
  if (!absolute(at, path, full) || !below(full)) return real_unlinkat(at, path, flags);
  pthread_mutex_lock(&lock);
  struct stat s;
  int e = fstatat(at, path, &s, AT_SYMLINK_NOFOLLOW) ? 0 : inject(C_META, "unlink", full), r = -1;
  if (e > 0) errno = e;
  else {
    r = real_unlinkat(at, path, flags);
    int saved = errno;
    if (!r) record(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, 0, 0, full, 0, 0, 0);
    errno = saved;
  }
  pthread_mutex_unlock(&lock);
  return r;
}
int unlink(const char *p) { return unlinkat(AT_FDCWD, p, 0); }
int rmdir(const char *p) { return unlinkat(AT_FDCWD, p, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode) {
  ready();
  char full[PATH_MAX];
  struct stat s;
  if (!absolute(at, path, full) || !below(full) || !fstatat(at, path, &s, 0))
    return real_mkdirat(at, path, mode);
  pthread_mutex_lock(&lock);
  int e = inject(C_NEW, "mkdir", full), r = -1;
  if (e > 0) errno = e;
  else {
    r = real_mkdirat(at, path, mode);
    int saved = errno;
    if (!r) record(MKDIR, 0, 0, 0, full, 0, 0, 0);
    errno = saved;
  }
  pthread_mutex_unlock(&lock);
  return r;
}
int mkdir(const char *p, mode_t m) { return mkdirat(AT_FDCWD, p, m); }

int linkat(int a, const char *from, int b, const char *to, int flags) {
  ready();
  char f[PATH_MAX], t[PATH_MAX];
  if (!absolute(a, from, f) || !absolute(b, to, t) || !below(t))
    return real_linkat(a, from, b, to, flags);
  pthread_mutex_lock(&lock);
  int e = inject(C_NEW, "link", t), r = -1;
  if (e > 0) errno = e;
  else if (!(r = real_linkat(a, from, b, to, flags))) record(LINK, 0, 0, 0, f, t, 0, 0);
  pthread_mutex_unlock(&lock);
  return r;
}
int link(const char *f, const char *t) { return linkat(AT_FDCWD, f, AT_FDCWD, t, 0); }

/* What is not followed, only noticed. */
static void unsupported(int fd, const char *what) {
  const char *path = watch(fd);
  if (!path) return;
  pthread_mutex_lock(&lock);
  record(UNSUPPORTED, 0, 0, 0, path, what, 0, 0);
  pthread_mutex_unlock(&lock);
}
void *mmap64(void *p, size_t n, int prot, int flags, int fd, off64_t at) {
  if (!real_mmap64) return (void *)syscall(SYS_mmap, p, n, prot, flags, fd, at);
  const char *path = watch(fd);
  size_t tail = path ? strlen(path) : 0;
  int shm = tail > 4 && !strcmp(path + tail - 4, "-shm");
  if (path && !shm && (flags & MAP_SHARED) && (prot & PROT_WRITE)) unsupported(fd, "shared map");
  return real_mmap64(p, n, prot, flags, fd, at);
}
void *mmap(void *p, size_t n, int prot, int f, int fd, off_t at) {
  return mmap64(p, n, prot, f, fd, at);
}
ssize_t copy_file_range(int in, off64_t *a, int out, off64_t *b, size_t n, unsigned f) {
  ready(); unsupported(out, "copy_file_range"); return real_copy_file_range(in, a, out, b, n, f);
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t n) {
  ready(); unsupported(out, "sendfile"); return real_sendfile64(out, in, at, n);
}
ssize_t sendfile(int out, int in, off_t *at, size_t n) { return sendfile64(out, in, at, n); }
int ioctl(int fd, unsigned long request, ...) {
  va_list a; va_start(a, request);
  void *argument = va_arg(a, void *);
  va_end(a);
  ready();
  if (request == 0x40049409 || request == 0x4020940d) unsupported(fd, "clone");
  return real_ioctl(fd, request, argument);
}
