// The file calls that Swift's Glibc module doesn't show.
#define _GNU_SOURCE
#include "CFiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

int cfiles_open_place(int at, const char *path, int follow_link) {
  return openat(at, path, O_PATH | O_DIRECTORY | O_CLOEXEC | (follow_link ? 0 : O_NOFOLLOW));
}

int cfiles_open_direct(int at, const char *path) {
  return openat(at, path, O_WRONLY | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);
}

ssize_t cfiles_read_now(int file, void *buffer, size_t length, int64_t offset) {
  struct iovec piece = {.iov_base = buffer, .iov_len = length};
  ssize_t got = preadv2(file, &piece, 1, offset, RWF_NOWAIT);
  if (got >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) return got;
  return pread(file, buffer, length, offset);
}

int cfiles_rename(int from_at, const char *from, int to_at, const char *to, int replace) {
  if (replace) return renameat(from_at, from, to_at, to);
  if (renameat2(from_at, from, to_at, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  // A file system without the flag: a hard link never replaces, so link and then drop the old name.
  if (linkat(from_at, from, to_at, to, 0) != 0) return -1;
  return unlinkat(from_at, from, 0);
}

int cfiles_reserve(int file, int64_t length) {
  int result;
  do result = fallocate(file, FALLOC_FL_KEEP_SIZE, 0, length);
  while (result != 0 && errno == EINTR);
  return result;
}

int cfiles_random(void *buffer, size_t length) {
  unsigned char *next = buffer;
  while (length > 0) {
    ssize_t got = getrandom(next, length, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    next += got;
    length -= (size_t)got;
  }
  return 0;
}
