/* Files: locks that die with their owner, disk space, clones, names that change places. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef FICLONE
#define FICLONE _IOW(0x94, 9, int)
#endif

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

static int flock_until_done(int fd, int operation) {
  while (flock(fd, operation) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

napi_value shim_lock(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd;
  bool exclusive;
  if (!take_arguments(env, info, values, 2) || !take_descriptor(env, values[0], &fd) ||
      !take_boolean(env, values[1], "exclusive", &exclusive)) {
    return NULL;
  }
  int error = flock_until_done(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
  if (error != 0 && error != EWOULDBLOCK) return throw_system(env, error, "flock");
  return give_boolean(env, error == 0);
}

napi_value shim_unlock(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int fd;
  if (!take_arguments(env, info, values, 1) || !take_descriptor(env, values[0], &fd)) return NULL;
  int error = flock_until_done(fd, LOCK_UN);
  return error == 0 ? NULL : throw_system(env, error, "flock");
}

static int allocate(int fd, int mode, uint64_t at, uint64_t bytes) {
  while (fallocate(fd, mode, (off_t)at, (off_t)bytes) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

static bool is_unsupported(int error) {
  return error == EOPNOTSUPP || error == ENOSYS;
}

/*
 * For file systems without fallocate (NFS 3, some FUSE ones). Only what lies behind the end of the
 * file is written, with zeros, so that nothing can be clobbered; holes inside the file, which the
 * emulation of posix_fallocate would fill by a racy read and write of every block, stay holes.
 */
static int write_zeros(int fd, uint64_t from, uint64_t end) {
  static const unsigned char zeros[64 * 1024];
  while (from < end) {
    size_t some = end - from < sizeof(zeros) ? (size_t)(end - from) : sizeof(zeros);
    ssize_t put = pwrite(fd, zeros, some, (off_t)from);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    if (put == 0) return EIO;
    from += (uint64_t)put;
  }
  return 0;
}

/* A refusal must leave the file as it was; some file systems lengthen it before they give up. */
static void shorten(int fd, off_t size) {
  struct stat now;
  if (fstat(fd, &now) != 0 || now.st_size <= size) return;
  while (ftruncate(fd, size) != 0 && errno == EINTR) continue;
}

napi_value shim_fallocate(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd;
  uint64_t at, bytes;
  struct stat before;
  if (!take_arguments(env, info, values, 3) || !take_descriptor(env, values[0], &fd) ||
      !take_file_range(env, values[1], values[2], &at, &bytes)) {
    return NULL;
  }
  if (bytes == 0) return throw_range(env, "bytes must not be 0");
  if (fstat(fd, &before) != 0) return throw_system(env, errno, "fstat");
  int error = allocate(fd, 0, at, bytes);
  if (is_unsupported(error) && S_ISREG(before.st_mode)) {
    uint64_t size = (uint64_t)before.st_size;
    error = write_zeros(fd, at > size ? at : size, at + bytes);
  }
  if (error == 0) return NULL;
  if (S_ISREG(before.st_mode)) shorten(fd, before.st_size);
  return throw_system(env, error, "fallocate");
}

napi_value shim_punch_hole(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd;
  uint64_t at, bytes;
  if (!take_arguments(env, info, values, 3) || !take_descriptor(env, values[0], &fd) ||
      !take_file_range(env, values[1], values[2], &at, &bytes)) {
    return NULL;
  }
  if (bytes == 0) return throw_range(env, "bytes must not be 0");
  int error = allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, bytes);
  if (error != 0 && !is_unsupported(error)) return throw_system(env, error, "fallocate");
  return give_boolean(env, error == 0);
}

/* EINVAL, EXDEV and ENOTTY are how file systems say that they cannot share blocks. */
napi_value shim_clone(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int from, to;
  if (!take_arguments(env, info, values, 2) || !take_descriptor(env, values[0], &from) ||
      !take_descriptor(env, values[1], &to)) {
    return NULL;
  }
  int error = 0;
  while (ioctl(to, FICLONE, from) != 0) {
    error = errno;
    if (error != EINTR) break;
    error = 0;
  }
  bool cannot = is_unsupported(error) || error == ENOTTY || error == EXDEV || error == EINVAL;
  if (error != 0 && !cannot) return throw_system(env, error, "ioctl");
  return give_boolean(env, error == 0);
}

/*
 * Two names change places, at once. Not every C library has a function for it, and not every file
 * system can: EINVAL.
 */
napi_value shim_exchange(napi_env env, napi_callback_info info) {
  napi_value values[2];
  Path one, other;
  if (!take_arguments(env, info, values, 2) || !take_path(env, values[0], "one", &one) ||
      !take_path(env, values[1], "other", &other)) {
    return NULL;
  }
  long done = syscall(SYS_renameat2, AT_FDCWD, one.text, AT_FDCWD, other.text, RENAME_EXCHANGE);
  if (done == 0) return give_boolean(env, true);
  if (errno == EINVAL || is_unsupported(errno)) return give_boolean(env, false);
  return throw_system(env, errno, "renameat2");
}

typedef struct {
  uint64_t bytes, inode, device, links;
} Seen;

#ifdef STATX_SIZE
/* Refused where a sandbox does not know the call: containers of old engines, emulators. */
static bool is_unknown_call(int error) {
  return error == ENOSYS || error == EPERM || error == EINVAL || error == EOPNOTSUPP;
}
#endif

/*
 * An open file (`path` empty) or one by name. Times are not asked for: a file whose times were
 * looked at gets new ones with the next write, each of which is metadata that a sync has to wait
 * for (Linux 6.13 and later).
 */
static bool look(int fd, const char *path, Seen *seen) {
#ifdef STATX_SIZE
  struct statx found;
  int flags = path[0] == '\0' ? AT_EMPTY_PATH : 0;
  unsigned mask = STATX_TYPE | STATX_SIZE | STATX_INO | STATX_NLINK;
  if (statx(fd, path, flags, mask, &found) == 0) {
    *seen = (Seen){found.stx_size, found.stx_ino,
                   makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_nlink};
    return true;
  }
  if (!is_unknown_call(errno)) return false;
#endif
  struct stat plain;
  if ((path[0] == '\0' ? fstat(fd, &plain) : stat(path, &plain)) != 0) return false;
  *seen = (Seen){(uint64_t)plain.st_size, plain.st_ino, plain.st_dev, plain.st_nlink};
  return true;
}

/*
 * The size of an open file that is still what its path names; -1 = it was removed, -2 = the path
 * names nothing, -3 = the path names another file.
 */
napi_value shim_size_of(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd;
  Path path;
  if (!take_arguments(env, info, values, 2) || !take_descriptor(env, values[0], &fd) ||
      !take_path(env, values[1], "path", &path)) {
    return NULL;
  }
  Seen open, named;
  if (!look(fd, "", &open)) return throw_system(env, errno, "fstat");
  if (open.links == 0) return give_number(env, -1);
  if (!look(AT_FDCWD, path.text, &named)) {
    return errno == ENOENT ? give_number(env, -2) : throw_system(env, errno, "stat");
  }
  bool is_same = named.inode == open.inode && named.device == open.device;
  return give_number(env, is_same ? (double)open.bytes : -3);
}
