// The file calls that Swift's Glibc module doesn't show, because they stand behind _GNU_SOURCE.
// Each answers as the system call does: 0 or more, or -1 with errno set.
#ifndef CFILES_H
#define CFILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Opens a directory as a place to start from (O_PATH: search permission is enough). A link in the last part is
/// followed only when asked to.
int cfiles_open_place(int at, const char *path, int follow_link);

/// Opens a file to write to it past the kernel's cache (O_DIRECT); a link in the last part isn't followed.
int cfiles_open_direct(int at, const char *path);

/// Reads what can be read without waiting for a disk; EAGAIN when nothing can. Where the file system can't tell, it
/// reads as usual.
ssize_t cfiles_read_now(int file, void *buffer, size_t length, int64_t offset);

/// Renames within directories; with `replace` 0 an existing target is left alone and the error is EEXIST.
int cfiles_rename(int from_at, const char *from, int to_at, const char *to, int replace);

/// Claims disk space for the first `length` bytes of a file, whose size stays what it is.
int cfiles_reserve(int file, int64_t length);

/// Fills a buffer with random bytes from the kernel; waits only while the machine has none yet.
int cfiles_random(void *buffer, size_t length);

#endif
