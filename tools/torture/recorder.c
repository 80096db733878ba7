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
#include "recorder.h"

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
    opened[fd] = s.st_ino;
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
  else if (unsync_path[0] && strstr(path, unsync_path)) {
    /* As Linux does it: the pages are clean now, what they held never reaches the disk. */
    unsync_path[0] = 0;
    record(LOST, inode(fd), 0, 0, path, 0, 0, 0);
    errno = EIO;
  } else {
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
  /* Memory that SQLite rebuilds, and counters that nothing depends on: not followed. */
  int shm = tail > 9 && (!strcmp(path + tail - 4, "-shm") || !strcmp(path + tail - 9, "/counters"));
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
  /* Shared blocks: as on a file system that has none, so that the copy is seen. */
  if ((request == 0x40049409 || request == 0x4020940d) && watch(fd)) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return real_ioctl(fd, request, argument);
}
