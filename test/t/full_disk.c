/*
 * full_disk.c
 *		A disk that is full, for the server that preloads this (LD_PRELOAD).
 *
 * As long as the file that FULL_DISK names exists, nothing below base/ grows: the
 * calls fail with ENOSPC, as those of a file system without a free block do. What is
 * there can be written over.
 */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int
is_full(int fd, off_t end)
{
	const char *mark = getenv("FULL_DISK");
	char		link[64];
	char		path[1024];
	ssize_t		length;
	struct stat file;

	if (mark == NULL || access(mark, F_OK) != 0)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return 0;
	path[length] = '\0';
	return strstr(path, "/base/") && fstat(fd, &file) == 0 && end > file.st_size;
}

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))
#define REFUSE(fd, end) do { if (is_full(fd, end)) { errno = ENOSPC; return -1; } } while (0)

ssize_t
pwrite(int fd, const void *data, size_t length, off_t at)
{
	REFUSE(fd, at + (off_t) length);
	return REAL(pwrite) (fd, data, length, at);
}

ssize_t
pwrite64(int fd, const void *data, size_t length, off64_t at)
{
	REFUSE(fd, at + (off_t) length);
	return REAL(pwrite64) (fd, data, length, at);
}

static off_t
sum(const struct iovec *pieces, int count)
{
	off_t		length = 0;

	while (count-- > 0)
		length += pieces[count].iov_len;
	return length;
}

ssize_t
pwritev(int fd, const struct iovec *pieces, int count, off_t at)
{
	REFUSE(fd, at + sum(pieces, count));
	return REAL(pwritev) (fd, pieces, count, at);
}

ssize_t
pwritev64(int fd, const struct iovec *pieces, int count, off64_t at)
{
	REFUSE(fd, at + sum(pieces, count));
	return REAL(pwritev64) (fd, pieces, count, at);
}

/* These return the error instead of setting it. */
int
posix_fallocate(int fd, off_t at, off_t length)
{
	return is_full(fd, at + length) ? ENOSPC : REAL(posix_fallocate) (fd, at, length);
}

int
posix_fallocate64(int fd, off64_t at, off64_t length)
{
	return is_full(fd, at + length) ? ENOSPC : REAL(posix_fallocate64) (fd, at, length);
}
